"""What a fit would do, without doing it."""

import math
from pathlib import Path

import torch
from rich.console import Console

from adapt.build import (
    check_model,
    count_all_steps,
    count_epochs,
    count_steps,
    make_data,
    make_segmenter,
    make_splits,
    make_store,
    pick_device,
    plan_lines,
    plan_training_features,
    tune,
)
from adapt.datacheck import print_warnings, quick_findings
from adapt.datamodules import SegmentationDataModule, Splits, Store
from adapt.errors import RecipeError
from adapt.jobs.batch_size import find_batch_size
from adapt.jobs.console import make_console, print_lines
from adapt.processes.launcher import count_processes, placed
from adapt.recipe import Recipe
from adapt.runs import check_writable
from adapt.segmenters import PromptableSegmenter
from adapt.wording import counted


def plan(recipe: Recipe, *, auto_batch: bool) -> None:
    """Read data and model, print what `fit` would do; train nothing, write nothing but the prepared data."""
    console = make_console()
    device = pick_device(recipe)
    recipe = placed(recipe, device)
    check_writable(Path(recipe.output).expanduser())
    check_model(recipe)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    print_warnings(quick_findings(recipe, store, splits), console)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    if auto_batch:
        recipe = with_largest_batch(recipe, store, splits, segmenter, device, console)
    features = plan_training_features(recipe, segmenter, store, splits)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    lines = [*plan_lines(recipe, data, segmenter, device, features=features), ("steps", steps_line(recipe, data))]
    print_lines(lines, console)


def with_largest_batch(
    recipe: Recipe,
    store: Store,
    splits: Splits,
    segmenter: PromptableSegmenter,
    device: torch.device,
    console: Console,
) -> Recipe:
    """The recipe with the largest batch that fits on this device.

    Raises:
        RecipeError: what a step needs is not known ahead.
    """
    if recipe.concepts.learn:
        raise RecipeError(
            "--auto-batch tries images that are all alike, and with concepts.learn a step needs as much memory as its "
            "images are asked for categories; set trainer.batch_size"
        )
    train = set(splits.train)
    of_images = zip(store.groups, store.rows["categories"], strict=True)
    objects = [len(names) for group, names in of_images if group in train]
    images = math.ceil(len(objects) / count_processes(recipe))
    features = plan_training_features(recipe, segmenter, store, splits)
    size = find_batch_size(
        recipe,
        segmenter,
        images=images,
        objects=max(objects),
        device=device,
        cached=features is not None and features.views > 0,
        console=console,
    )
    return with_batch(recipe, size)


def with_batch(recipe: Recipe, size: int) -> Recipe:
    """The recipe with so many images a batch."""
    return recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"batch_size": size})})


def steps_line(recipe: Recipe, data: SegmentationDataModule) -> str:
    """Epochs and steps of a fit, and why they are more than `trainer.epochs`, or end before, if they do."""
    steps = count_steps(recipe, data)
    epochs = count_epochs(recipe, steps_per_epoch=steps)
    total = count_all_steps(recipe, steps_per_epoch=steps)
    text = f"{counted(epochs, 'epoch')} of {counted(steps, 'step')}, {total} in all"
    processes, settings = count_processes(recipe), recipe.trainer
    if processes > 1:
        images = processes * settings.batch_size * settings.accumulate
        text += f", on {processes} devices with {settings.batch_size} images each, {images} a step"
    if total < max(settings.epochs * steps, settings.min_steps):
        text += f" (and no more, since trainer.max_steps={total}; 0 lifts it)"
    elif epochs > recipe.trainer.epochs:
        text += f" (not {recipe.trainer.epochs}, since trainer.min_steps={recipe.trainer.min_steps}; 0 lifts it)"
    return text
