"""What the tuned model and the untouched one are asked."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from adapt.recipe.data import DataSettings, FolderData
from adapt.recipe.settings import Settings


def _no_repeats(protocols: list[str]) -> list[str]:
    if len(set(protocols)) != len(protocols):
        raise ValueError(f"a protocol is named twice: {protocols}")
    return protocols


Protocols = Annotated[
    list[Literal["one_click", "box", "jittered_box", "clicks"]],
    Field(
        min_length=1,
        description="one_click, box, jittered_box (as people draw it), and clicks: one click, then corrections.",
    ),
    AfterValidator(_no_repeats),
]


class RetentionSettings(Settings):
    """A general set, on which both models are compared too: what tuning has made the model forget."""

    images: int = Field(50, ge=0, description="Of the set, at most, drawn by the seed; 0: off.")
    protocols: Protocols = Field(["one_click", "box"])
    data: DataSettings = Field(
        FolderData(kind="folder", root="adapt:shapes_folder"),
        description="Images unlike those of the domain, read like data of any recipe; generated shapes by default.",
    )


class AutomaticSettings(Settings):
    """Masks without prompts (see `generate`), scored untouched and tuned: they are the first to suffer from tuning."""

    images: int = Field(
        4, ge=0, description="Test images at most, drawn by the seed; each costs the clicks of a grid; 0: off."
    )
    points_per_side: int = Field(
        16, ge=1, description="Of the grid, coarser than generate.points_per_side, since both models answer all of it."
    )
    fit_thresholds: bool = Field(
        False,
        description="After training, fit generate.predicted_iou and generate.stability to the tuned model on "
        "validation images, as `evaluate RUN --fit-thresholds` does; for data that label all objects of their kind.",
    )
    validation_images: int = Field(
        8, ge=1, description="Validation images at most, drawn by the seed, on which thresholds are fitted."
    )


class EvaluationSettings(Settings):
    """The protocols that compare the tuned model with the untouched one."""

    protocols: Protocols = Field(["one_click", "box"])
    clicks: int = Field(20, ge=1, description="Of the protocol clicks: how many (the cap of NoC).")
    boundary_tolerance: float | None = Field(
        None, gt=0, description="Distance of borders that still counts as right (mm, m, um or px); null: two pixels."
    )
    following_images: int = Field(
        50, ge=0, description="Test images in which two objects are prompted, to see that prompts matter; 0: off."
    )
    bootstrap_samples: int = Field(10_000, ge=100, description="Resamples of the test groups for the interval.")
    gallery_every: int = Field(
        10, ge=0, description="Epochs between galleries of some validation objects during training; 0: none."
    )
    gallery: int = Field(12, ge=0, description="Test objects drawn into the gallery: worst, middle and best.")
    retention: RetentionSettings = RetentionSettings()
    automatic: AutomaticSettings = AutomaticSettings()
