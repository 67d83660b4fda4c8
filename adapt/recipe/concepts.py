"""Concepts: all objects of a category's name, found without prompts by SAM 3's detector."""

from pydantic import Field

from adapt.recipe.clips import ClipSettings
from adapt.recipe.evaluation import EvaluationSettings
from adapt.recipe.generate import GenerateSettings
from adapt.recipe.label import LabelSettings
from adapt.recipe.semantic import SemanticSettings
from adapt.recipe.settings import Settings
from adapt.recipe.training import LossSettings, PromptSettings, TrainerSettings


class ConceptSettings(Settings):
    """Teach SAM 3 the categories of the data: each image is asked for some of them by name (SAM 3, section 2)."""

    learn: bool = Field(
        False,
        description="Tune the part of SAM 3 that finds all objects of a phrase, rather than the part that is prompted.",
    )
    present: int = Field(8, ge=1, description="Categories that an image shows and is asked for in a step, at most.")
    absent: int = Field(
        1,
        ge=0,
        description="Categories of other images that it is asked for as well, which teach that a concept is not there; "
        "labels must then be complete.",
    )
    score_weight: float = Field(20.0, ge=0, description="Of the cross-entropy of the candidates' scores (SAM 3: 20).")
    positive_weight: float = Field(10.0, gt=0, description="In it, of candidates that are objects (SAM 3: 10).")
    presence_weight: float = Field(
        10.0, ge=0, description="Of the cross-entropy of the presence (SAM 3: 20 times half of it)."
    )
    box_weight: float = Field(5.0, ge=0, description="Of the L1 distance of matched boxes (SAM 3: 5).")
    giou_weight: float = Field(2.0, ge=0, description="Of 1 - generalised IoU of matched boxes (SAM 3: 2).")
    focal_weight: float = Field(200.0, ge=0, description="Of the focal loss of matched masks (SAM 3: 200).")
    dice_weight: float = Field(10.0, ge=0, description="Of the Dice loss of matched masks (SAM 3: 10).")
    score_cost: float = Field(2.0, ge=0, description="Of a candidate's score when candidates are matched (SAM 3: 2).")
    box_cost: float = Field(5.0, ge=0, description="Of the L1 distance of boxes, likewise (SAM 3: 5).")
    giou_cost: float = Field(2.0, ge=0, description="Of their generalised IoU, likewise (SAM 3: 2).")


NOT_OF_CONCEPTS: dict[str, object] = {
    "preset": "sam",
    "semantic": SemanticSettings(),
    "clips": ClipSettings(),
    "prompts": PromptSettings(),
    "loss": LossSettings(),
    "generate": GenerateSettings(),
    "label": LabelSettings(),
    "curriculum": [],
    "trainer.objects_per_image": TrainerSettings().objects_per_image,
    "trainer.stop_forgetting": TrainerSettings().stop_forgetting,
    "trainer.strategy": TrainerSettings().strategy,
    "evaluation": EvaluationSettings(),
    "model.weights": "pretrained",
}
"""What is read where objects are prompted, or is not for SAM 3's detector, and its default."""
