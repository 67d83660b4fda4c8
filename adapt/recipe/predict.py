"""Settings of `predict`: what images without prompts get, how tiles are joined, when a propagation stops."""

from typing import Literal

from pydantic import Field

from adapt.recipe.settings import Settings, Share


class PropagateSettings(Settings):
    """From slice to slice of a volume: by memory, or the mask and the box of one prompt the next."""

    memory: bool = Field(
        True,
        description="Follow objects by the memory of the model, if it has one (SAM 2.1 video); false: mask and box of "
        "one slice prompt the next, as in all other families. box_margin, min_iou and area_jump are of that way.",
    )
    absent_slices: int = Field(
        3,
        ge=1,
        description="By memory: stop after so many slices in a row in which the model sees no object; before, it may "
        "come back.",
    )
    box_margin: Share = Field(
        0.05, description="How far the next box reaches beyond the mask on each side, as a share of the mask's side."
    )
    min_iou: Share = Field(0.5, description="Stop where the model expects a lower IoU of its answer.")
    area_jump: float = Field(
        2.0, gt=1, description="Stop where the area grows by this factor from a slice to the next, or shrinks by it."
    )


class PredictSettings(Settings):
    """How `predict` goes about what the recipe's data section does not say."""

    without_prompts: Literal["skip", "empty", "automatic"] = Field(
        "skip",
        description="Images that a prompts file does not name: leave them out, write that nothing was found (as "
        "where a detector has no box), or find all their objects. Without a prompts file all images are automatic.",
    )
    join_iou: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Objects of two tiles are one where they have this IoU within what both tiles show.",
    )
    propagate: PropagateSettings = PropagateSettings()
