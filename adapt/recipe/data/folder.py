"""Settings of 2D images and label maps side by side."""

from typing import Literal

from pydantic import Field, model_validator

from adapt.recipe.data.fields import GroupPattern, LabelValue, MaxImagePixels, MinObjectPixels, OnError, OtherLabels
from adapt.recipe.settings import Settings


class FolderData(Settings):
    """2D images and label maps side by side: PNG, JPEG or TIFF, paired by name."""

    kind: Literal["folder"]
    root: str = Field(min_length=1, description="Folder that holds the images and label maps.")
    image_folder: str = Field("images", description="Below root: the images.")
    label_folder: str = Field("labels", description="Below root: single-channel label maps of the same names.")
    label_kind: Literal["instances", "classes"] = Field(
        "instances", description="instances: each value is one object; classes: each value is a class, see labels."
    )
    labels: dict[str, LabelValue] = Field(
        {}, description="With label_kind classes: name and value of each class; 0 is background."
    )
    other_labels: OtherLabels = "error"
    objects: Literal["component", "label"] = Field(
        "component", description="With classes: an object is each connected region of a label, or the label as a whole."
    )
    category: str = Field("object", description="With label_kind instances: what the objects are called.")
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    on_error: OnError = "fail"
    group_pattern: GroupPattern = None

    @model_validator(mode="after")
    def _classes_are_named(self) -> "FolderData":
        if self.label_kind == "classes" and not self.labels:
            raise ValueError("label_kind classes needs labels: {name: value}")
        if self.label_kind == "instances" and self.labels:
            raise ValueError("labels is read with label_kind classes only; for instances set category")
        return self
