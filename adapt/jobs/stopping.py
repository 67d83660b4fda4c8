"""Rules that end training before its last epoch, as the recipe asks."""

import torch
from lightning.pytorch.callbacks import Callback

from adapt.callbacks.early_stopping import StopForgetting, stop_without_progress
from adapt.errors import RecipeError
from adapt.jobs.retention import GeneralImages, GeneralScore
from adapt.recipe import Recipe
from adapt.segmenters import PromptableSegmenter, encoder_trains


def stopping_rules(
    recipe: Recipe,
    segmenter: PromptableSegmenter,
    general: GeneralImages | None,
    *,
    device: torch.device,
    validated: bool,
) -> list[Callback]:
    """What may end training before its last epoch.

    Raises:
        RecipeError: a rule cannot be followed, since what it looks at is not measured.
    """
    settings = recipe.trainer
    rules: list[Callback] = []
    if not validated and (settings.stop_patience or settings.stop_forgetting is not None):
        raise RecipeError(
            "trainer.stop_patience and trainer.stop_forgetting are looked at after each validation, but no group is "
            "left for it; raise split.validation, or set them to 0 and null"
        )
    if settings.stop_patience:
        rules.append(stop_without_progress(settings.stop_patience))
    if settings.stop_forgetting is not None:
        if general is None:
            raise RecipeError(
                "trainer.stop_forgetting needs general images that are not the data itself; name some in "
                "evaluation.retention.data, or set it to null"
            )
        measure = GeneralScore(general, segmenter, device=device, frozen=not encoder_trains(segmenter))
        rules.append(StopForgetting(measure, limit=settings.stop_forgetting))
    return rules
