"""Settings of the data engine: masks that a model has drawn on images nobody had labelled, and how far they count."""

from typing import Literal

from pydantic import Field

from adapt.recipe.settings import Settings, Share


class StageWeights(Settings):
    """Weight of an object in the loss, by the stage its mask is from; of `data`, every object weighs 1.

    A mask that people have changed is one of `manual`.
    """

    manual: float = Field(1.0, ge=0, description="Drawn or changed by people.")
    assisted: float = Field(1.0, ge=0, description="Drawn by a model, and kept by people who looked at it.")
    semi_automatic: float = Field(0.5, ge=0, description="Kept without a look, in images that people went through.")
    automatic: float = Field(
        0.1, ge=0, description="Kept without a look. Segment Anything sampled its others ten times as often as these."
    )


class LabelSettings(Settings):
    """`adapt label`: masks for unlabelled images, looked at by people as far as is worth it, and trained on."""

    root: str | None = Field(
        None, min_length=1, description="Folder of `adapt label init`; its masks train beside those of data."
    )
    weights: StageWeights = StageWeights()
    images: int = Field(20, ge=1, description="How many pictures are handed out for review, most useful first.")
    views: int = Field(
        1, ge=0, le=3, description="Mirrored views whose masks are compared with the image's, each as dear as it."
    )
    disagreement_masks: int = Field(
        64, ge=1, description="Masks of a picture, best first, whose prompt is asked for its other candidates."
    )
    predicted_iou: float = Field(
        0.92, ge=0, description="Semi-automatic and automatic: masks of at least this predicted IoU are kept."
    )
    stability: Share = Field(0.97, description="Likewise, of at least this stability; see generate.stability.")
    gate_on: Literal["mean", "one_click", "box"] = Field(
        "mean", description="Whose mIoU must not fall: that of a protocol, or the mean of all that were evaluated."
    )
