"""From the model section of a recipe to a segmenter, untouched and tuned."""

import copy

import torch

from adapt.errors import CheckpointError, RecipeError
from adapt.recipe import Recipe
from adapt.segmenters import (
    PromptableSegmenter,
    check_checkpoint,
    fold_attention,
    load_segmenter,
    memory_of,
    random_segmenter,
)
from adapt.text import find_concepts, load_concepts
from adapt.tuning import choose, freeze_unasked


def check_model(recipe: Recipe) -> None:
    """Fail before the data is read rather than after it: all that `make_segmenter` asks but for the weights.

    Raises:
        CheckpointError: the checkpoint is not found, unreachable, or of another architecture.
    """
    model = recipe.model
    check = find_concepts if recipe.concepts.learn else check_checkpoint
    check(model.checkpoint, revision=model.revision)


def make_segmenter(recipe: Recipe) -> PromptableSegmenter:
    """The segmenter of a recipe, untouched: pretrained, or with fresh weights."""
    model = recipe.model
    if recipe.concepts.learn:
        segmenter: PromptableSegmenter = load_concepts(model.checkpoint, revision=model.revision)
    elif model.weights == "random":
        segmenter = random_segmenter(model.checkpoint, seed=recipe.seed, revision=model.revision)
    else:
        segmenter = load_segmenter(model.checkpoint, revision=model.revision)
    if model.input_size is not None:
        segmenter = segmenter.at_input_size(model.input_size)
    return as_computed(recipe, segmenter)


def as_computed(recipe: Recipe, segmenter: PromptableSegmenter) -> PromptableSegmenter:
    """A segmenter as it was read, to compute as the recipe says, and to answer by its classes if it names some.

    Raises:
        CheckpointError: it has other classes than the recipe, or the recipe has none.
    """
    if recipe.model.attention == "folded":
        fold_attention(segmenter.encoder)
    if recipe.semantic.classes:
        return segmenter.with_classes(recipe.semantic.classes)
    if segmenter.classes:
        raise CheckpointError(
            "this model answers by classes and cannot be prompted; set model.checkpoint to another one, or "
            f"semantic.classes=[{','.join(segmenter.classes)}]"
        )
    return segmenter


def tune(recipe: Recipe, segmenter: PromptableSegmenter) -> None:
    """Choose what trains, and put in what the mode inserts; the memory of a model trains if it is trained on clips.

    Raises:
        RecipeError: clips for a model without a memory, or see `choose`.
    """
    memory = memory_of(segmenter)
    if recipe.clips.length > 1 and memory is None:
        raise RecipeError(
            f"clips.length {recipe.clips.length} trains a memory, and a {segmenter.family} model has none: set it to "
            "1, or model.checkpoint to a SAM 2 video model (facebook/sam2.1-hiera-tiny)"
        )
    choose(segmenter, recipe.tuning)
    if recipe.semantic.classes:
        freeze_unasked(segmenter)
    if recipe.clips.length > 1 and memory is not None:
        for parameter in memory.parameters:
            parameter.requires_grad_(True)


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
