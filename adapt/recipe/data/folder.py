"""Settings of 2D images and label maps, or masks, side by side."""

from typing import Literal

from pydantic import Field, model_validator

from adapt.recipe.data.fields import (
    GroupPattern,
    Labels,
    MaxImagePixels,
    MinObjectPixels,
    Objects,
    OnError,
    OtherLabels,
    check_labels_are_named,
)
from adapt.recipe.settings import Settings


class FolderData(Settings):
    """2D images and label maps or masks side by side: PNG, JPEG or TIFF, paired by name."""

    kind: Literal["folder"]
    root: str = Field(
        min_length=1, description="Folder that holds the images and label maps; adapt:shapes_folder generates."
    )
    image_folder: str = Field("images", description="Below root: the images.")
    label_folder: str = Field(
        "labels", description="Below root: single-channel label maps, or folders of masks, of the same names."
    )
    image_suffix: str = Field("", description="What names of images end in, before the format: _img, for example.")
    label_suffix: str = Field("", description="What names of labels end in, before the format: _mask, for example.")
    label_kind: Literal["instances", "classes", "masks"] = Field(
        "instances",
        description="instances: each value is one object; classes: each value is a class, see labels; masks: each "
        "file in a folder with the name of the image is one object, a folder inside that names its category.",
    )
    labels: Labels = Field({})
    other_labels: OtherLabels = "error"
    objects: Objects = "component"
    category: str = Field("object", description="What objects without a category of their own are called.")
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None

    @model_validator(mode="after")
    def _classes_are_named(self) -> "FolderData":
        check_labels_are_named(self.label_kind, self.labels)
        return self
