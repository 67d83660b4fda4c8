"""Masks without prompts: a grid of clicks, and what is kept of the answers.

Unless a field says otherwise, a default is that of `SamAutomaticMaskGenerator`, published with Segment Anything.
"""

from typing import Literal

from pydantic import Field, model_validator

from adapt.recipe.settings import Settings, Share

FIT_THRESHOLDS = "fit the thresholds (adapt evaluate RUN --fit-thresholds)"
"""What messages advise where predicted_iou and stability do not suit a model."""


class GenerateSettings(Settings):
    """Automatic masks of an image: clicks on a grid, candidates filtered, and one mask kept of those that are alike."""

    points_per_side: int = Field(32, ge=1, description="Of the grid of clicks; its square is the number of clicks.")
    points_per_batch: int = Field(64, ge=1, description="Clicks that are decoded at once: memory against speed.")
    crop_layers: int = Field(
        0,
        ge=0,
        le=4,
        description="Layers of crops that are looked at beside the whole image: 4 crops, 16 more, and so on. The "
        "encoder runs once a crop; small objects of a large image need it.",
    )
    crop_overlap: Share = Field(
        512 / 1500, description="Of neighbouring crops, as a share of the image's shorter side; halved with each layer."
    )
    crop_points_downscale: int = Field(
        1, ge=1, description="The grid of layer n has points_per_side / this^n points a side."
    )
    predicted_iou: float = Field(
        0.88, ge=0, description="A candidate is kept if the model predicts more than this IoU for it; 0 keeps all."
    )
    stability: Share = Field(
        0.95,
        description="A candidate is kept if this much of it stays when its threshold moves: IoU of the mask "
        "stability_offset above and below the threshold.",
    )
    stability_offset: float = Field(1.0, ge=0, description="Shift of the threshold for the stability, in logits.")
    mask_threshold: float = Field(0.0, description="Logit above which a pixel belongs to a mask.")
    crop_edge: float = Field(
        20.0,
        ge=0,
        description="Pixels: a box this near to an edge of its crop that is no edge of the image is cut, and dropped.",
    )
    nms: Share = Field(0.7, description="Of boxes in a crop with a larger IoU, the one of highest predicted IoU stays.")
    crop_nms: Share = Field(
        0.7, description="Of boxes of several crops with a larger IoU, the one of the smallest crop stays."
    )
    min_region: int = Field(0, ge=0, description="Holes and islands of fewer pixels are filled or removed; 0: none.")
    max_masks: int | None = Field(
        None, ge=1, description="At most, of highest predicted IoU; null: all. The published code has no such bound."
    )
    overlap: Literal["confident", "small"] = Field(
        "confident",
        description="In a label map a pixel belongs to one mask only: confident, the one of highest predicted IoU "
        "times stability, or small, the one of least area. Label maps are not part of the published code.",
    )
    least_visible: Share = Field(
        0.5, description="In a label map, a mask that keeps less than this share of its pixels is left out whole."
    )

    @model_validator(mode="after")
    def _every_layer_has_a_grid(self) -> "GenerateSettings":
        if self.points_per_side < self.crop_points_downscale**self.crop_layers:
            raise ValueError(
                f"points_per_side {self.points_per_side} / crop_points_downscale {self.crop_points_downscale}^"
                f"{self.crop_layers} leaves no point; take a larger grid, a smaller downscale, or fewer crop_layers"
            )
        return self
