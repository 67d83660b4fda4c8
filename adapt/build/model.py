"""From the model section of a recipe to a segmenter, untouched and tuned."""

import copy

import torch

from adapt.errors import RecipeError
from adapt.recipe import Recipe
from adapt.segmenters import PromptableSegmenter, fold_positions, load_segmenter, random_segmenter
from adapt.tuning import choose


def make_segmenter(recipe: Recipe) -> PromptableSegmenter:
    """The segmenter of a recipe, untouched: pretrained, or with fresh weights."""
    model = recipe.model
    if model.weights == "random":
        segmenter = random_segmenter(model.checkpoint, seed=recipe.seed, revision=model.revision)
    else:
        segmenter = load_segmenter(model.checkpoint, revision=model.revision)
    if model.input_size is not None:
        segmenter = segmenter.at_input_size(model.input_size)
    return as_computed(recipe, segmenter)


def as_computed(recipe: Recipe, segmenter: PromptableSegmenter) -> PromptableSegmenter:
    """A segmenter as it was read, to compute as the recipe says."""
    if recipe.model.attention == "folded":
        fold_positions(segmenter.encoder)
    return segmenter


def tune(recipe: Recipe, segmenter: PromptableSegmenter) -> None:
    """Choose what trains, and put in what the mode inserts."""
    choose(segmenter, recipe.tuning)


def tuned_from(recipe: Recipe, segmenter: PromptableSegmenter) -> PromptableSegmenter:
    """`tune`, and a copy of what the segmenter was to compare with; it shares an encoder that stays as it is."""
    copied = copy.deepcopy(segmenter)
    stock = [id(parameter) for parameter in segmenter.encoder.parameters()]
    tune(recipe, segmenter)
    encoder = list(segmenter.encoder.parameters())
    changes = any(parameter.requires_grad for parameter in encoder) or [id(p) for p in encoder] != stock
    if changes or recipe.curriculum:  # whose stages may train it
        return copied
    return copy.deepcopy(copied, {id(copied.encoder): segmenter.encoder})


def pick_device(recipe: Recipe) -> torch.device:
    """The device that `trainer.accelerator` asks for.

    Raises:
        RecipeError: it is not there.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    wanted = recipe.trainer.accelerator
    if wanted == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if not available[wanted]:
        there = ", ".join(name for name, here in available.items() if here)
        raise RecipeError(f"trainer.accelerator {wanted!r} is not there; this machine has: {there}. Or set auto")
    return torch.device(wanted)
