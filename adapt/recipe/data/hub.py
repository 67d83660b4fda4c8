"""Settings of data sets of the Hugging Face Hub, or local ones that the `datasets` library reads."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from adapt.recipe.data.fields import (
    LabelKind,
    Labels,
    MaxImagePixels,
    MinObjectPixels,
    Objects,
    OnError,
    OtherLabels,
    check_labels_are_named,
)
from adapt.recipe.settings import Settings

Column = Annotated[str, Field(min_length=1)]


class HubData(Settings):
    """Images with masks in the rows of a Hugging Face data set; no code of a data set is ever run."""

    kind: Literal["hub"]
    root: str = Field(
        min_length=1,
        description="Hub id (owner/name), or a local folder: parquet, JSON lines, images with metadata.jsonl, or "
        "what save_to_disk wrote; adapt:shapes_hub generates.",
    )
    config: str | None = Field(None, description="Configuration (subset) of the data set, if it has several.")
    revision: str | None = Field(
        None, description="Of a Hub data set: branch, tag or commit; a whole commit opens without the network."
    )
    splits: list[Column] = Field(
        ["train"], min_length=1, description="The data set's own splits to use, together; the recipe splits by group."
    )
    streaming: bool = Field(
        False, description="Read the rows as they arrive, in one process, and keep no copy of the data set's files."
    )
    image_column: Column = Field("image", description="Images; objects.image is the field image of the column objects.")
    mask_column: Column = Field(
        "mask", description="A label map, or a list with a mask, COCO polygons or COCO RLE for each object."
    )
    category_column: Column | None = Field(
        None, description="Category of the image's objects, or a list with one each; all are `category` if null."
    )
    group_column: Column | None = Field(None, description="Patient, scene or slide; null: each row is its own.")
    id_column: Column | None = Field(None, description="A name of the row, unique in its split; null: its number.")
    label_kind: LabelKind = Field(
        "instances", description="Of label maps. instances: each value is one object; classes: each is a class."
    )
    labels: Labels = Field({})
    other_labels: OtherLabels = "error"
    objects: Objects = "component"
    category: str = Field("object", description="What objects without a category of their own are called.")
    min_object_pixels: MinObjectPixels = 16
    max_image_pixels: MaxImagePixels = 100_000_000
    max_images: Annotated[int, Field(ge=1)] | None = Field(None, description="Rows to read, from the first; null: all.")
    on_error: OnError = "fail"

    @model_validator(mode="after")
    def _names_fit(self) -> "HubData":
        check_labels_are_named(self.label_kind, self.labels)
        if self.label_kind == "classes" and self.category_column is not None:
            raise ValueError("category_column is read with label_kind instances only; labels names the classes")
        if len(set(self.splits)) != len(self.splits):
            raise ValueError(f"splits names one twice: {', '.join(self.splits)}")
        return self
