"""Settings of images that are drawn, not read: to pretrain a model from nothing."""

from typing import Literal

from pydantic import Field

from adapt.recipe.data.fields import OnError
from adapt.recipe.settings import Settings, Share


class SyntheticData(Settings):
    """Procedural images with exact masks: things, cells, roofs and organs, as many as are asked for."""

    kind: Literal["synthetic"]
    root: Literal["adapt:synthetic"] = Field("adapt:synthetic", description="Nothing is read from a folder.")
    images: int = Field(2048, ge=3, description="Training, validation and test images together; each is a group.")
    side: int = Field(256, ge=64, le=1024, description="Of an image, pixels.")
    smallest: Share = Field(0.001, description="Objects that show less than this share of the image are left out.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the images; another seed has no image in common.")
    fresh: bool = Field(True, description="Draw new training images for every epoch: endless data.")
    on_error: OnError = "fail"
