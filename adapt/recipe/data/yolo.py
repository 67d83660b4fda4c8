"""Settings of 2D images with YOLO segmentation labels."""

from typing import Literal

from pydantic import Field

from adapt.recipe.data.fields import GroupPattern, MaxImagePixels, MinObjectPixels, OnError
from adapt.recipe.settings import Settings


class YoloData(Settings):
    """2D images with one text file of polygons each, as YOLO segmentation has them; objects may overlap."""

    kind: Literal["yolo"]
    root: str = Field(min_length=1, description="Folder that holds the images and labels; adapt:shapes_yolo generates.")
    image_folder: str = Field(
        "images", min_length=1, description="Name of each folder of images, anywhere below root; splits may be inside."
    )
    label_folder: str = Field(
        "labels", min_length=1, description="What stands in the path of a label file where its image has image_folder."
    )
    names_file: str = Field("data.yaml", description="Below root: YAML; only its `names` of classes are read.")
    class_names: list[str] = Field(
        [], description="Names of the classes in the order of their numbers; from names_file if empty."
    )
    categories: list[str] = Field([], description="Names of the classes to use; all if empty.")
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None
