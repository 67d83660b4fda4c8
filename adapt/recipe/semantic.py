"""Fixed classes, answered without prompts."""

from typing import Annotated

from pydantic import AfterValidator, Field

from adapt.recipe.clips import ClipSettings
from adapt.recipe.evaluation import EvaluationSettings
from adapt.recipe.generate import GenerateSettings
from adapt.recipe.label import LabelSettings
from adapt.recipe.settings import Settings
from adapt.recipe.training import LossSettings, PromptSettings, TrainerSettings

BACKGROUND = "background"
"""What value 0 of a label map is called."""


def _can_be_told_apart(classes: list[str]) -> list[str]:
    if len(set(classes)) != len(classes):
        raise ValueError(f"a class is named twice: {', '.join(classes)}")
    if BACKGROUND in classes or "" in classes:
        raise ValueError("classes have names, and background is none of them: it is all that no class covers")
    return classes


class SemanticSettings(Settings):
    """Label maps of fixed classes, without prompts (SAMed), instead of masks of prompted objects."""

    classes: Annotated[list[str], AfterValidator(_can_be_told_apart)] = Field(
        [],
        description="Categories of the data, all of them; the first is 1 in a label map, the next 2. Empty: objects "
        "are prompted.",
    )
    cross_entropy_weight: float = Field(0.2, ge=0, description="Of the mean over pixels (SAMed: 0.2).")
    dice_weight: float = Field(0.8, ge=0, description="Of the mean over classes and background (SAMed: 0.8).")


PROMPTED: dict[str, object] = {
    "preset": "sam",
    "clips": ClipSettings(),
    "prompts": PromptSettings(),
    "generate": GenerateSettings(),
    "label": LabelSettings(),
    "curriculum": [],
    "trainer.objects_per_image": TrainerSettings().objects_per_image,
    "trainer.stop_forgetting": TrainerSettings().stop_forgetting,
    "evaluation.protocols": EvaluationSettings().protocols,
    "evaluation.clicks": EvaluationSettings().clicks,
    "evaluation.boundary_tolerance": EvaluationSettings().boundary_tolerance,
    **{f"loss.{name}": field.default for name, field in LossSettings.model_fields.items() if name != "at"},
}
"""What only a model that is prompted reads, and its default."""
