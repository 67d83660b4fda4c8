"""Settings of 2D images with a COCO JSON file."""

from typing import Literal

from pydantic import Field

from adapt.recipe.data.fields import GroupPattern, MaxImagePixels, MinObjectPixels, OnError
from adapt.recipe.settings import Settings


class CocoData(Settings):
    """2D images with one COCO JSON file: instances as polygons or RLE, which may overlap."""

    kind: Literal["coco"]
    root: str = Field(
        min_length=1,
        description="Folder that holds the images and the annotation file; adapt:shapes_coco generates.",
    )
    image_folder: str = Field("images", description="Below root: what `file_name` in the annotations is relative to.")
    annotation_file: str = Field("annotations.json", description="Below root: the COCO JSON file.")
    categories: list[str] = Field([], description="Names of the categories to use; all if empty.")
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None
