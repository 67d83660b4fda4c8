"""Fill the cache of frozen features ahead of a training, so that even its first epoch finds them."""

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import DataLoader

from adapt.build import (
    make_data,
    make_segmenter,
    make_splits,
    make_store,
    nothing_to_keep,
    open_features,
    pick_device,
    plan_training_features,
    tune,
)
from adapt.datamodules import EpochSampler, Splits, Store
from adapt.errors import RecipeError
from adapt.features import FeatureCache, FeaturePlan, frozen_part
from adapt.jobs.console import make_console, quiet_libraries
from adapt.processes.collective import summed
from adapt.processes.group import Processes, started
from adapt.processes.launcher import placed
from adapt.recipe import Recipe
from adapt.samples import Batch
from adapt.segmenters import PromptableSegmenter, freeze_boundary

Loaders = DataLoader[Batch] | list[DataLoader[Batch]]
"""One, or none."""


def warm_features(recipe: Recipe) -> None:
    """Fill the cache of frozen features, and print what was done."""
    begun = time.monotonic()
    quiet_libraries()
    device = pick_device(recipe)
    recipe = placed(recipe, device)
    with started(recipe, device) as processes:
        done = warm(recipe, processes, device=device, console=make_console(processes))
    if processes.first:
        print(f"{done}, {time.monotonic() - begun:.1f} s")


def warm(recipe: Recipe, processes: Processes, *, device: torch.device, console: Console) -> str:
    """Encode what a fit and its evaluation will ask for and is not there yet: every view of every image.

    Processes share the images, so that each is encoded by one of them.

    Returns:
        What was done, one line.

    Raises:
        RecipeError: nothing of the encoder is frozen, or nothing may be kept, or there is no room for it.
    """
    store, splits, segmenter, plan = processes.together(partial(_planned, recipe, console))
    console.print(f"features    {plan}", highlight=False, soft_wrap=True)
    segmenter.to(device).eval()
    found = computed = 0
    columns = (TextColumn("encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        images = math.ceil((plan.training * plan.views + plan.other) / processes.count)
        bar = progress.add_task("encoding", total=images)
        for precision, tested in ((recipe.trainer.precision, False), ("32-true", True)):
            features = open_features(recipe, segmenter, plan, precision=precision, console=console)
            assert features is not None
            data = make_data(recipe, store, splits, segmenter.spec, device, features=features)
            fitted = (data.train_dataloader(), data.val_dataloader())
            loaders: Sequence[Loaders] = (data.test_dataloader(),) if tested else fitted
            halved = torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16-mixed")
            for batch in _batches(loaders, features):
                assert batch.cached is not None
                there = int(batch.cached.found.sum())
                found, computed = found + there, computed + len(batch.groups) - there
                if there < len(batch.groups):
                    batch = batch.to(device)
                    with halved:
                        frozen_part(segmenter, batch.images, batch.cached, boundary=plan.boundary, cache=features)
                progress.advance(bar, len(batch.groups))
            features.flush()
    computed, found = summed(torch.tensor([computed, found], device=device)).tolist()
    return f"{computed:,} images encoded, {found:,} were there"


def _planned(recipe: Recipe, console: Console) -> tuple[Store, Splits, PromptableSegmenter, FeaturePlan]:
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    plan = plan_training_features(recipe, segmenter, store, splits)
    if plan is None:
        reason = nothing_to_keep(recipe, freeze_boundary(segmenter.stages))
        raise RecipeError(f"there are no frozen features to keep ({reason})")
    if not plan.views:
        raise RecipeError(plan.shortage)
    return store, splits, segmenter, plan


def _batches(loaders: Sequence[Loaders], features: FeatureCache) -> Iterator[Batch]:
    """Batches of each loader; of one that augments, those of as many epochs as there are views."""
    for loader in loaders:
        if isinstance(loader, list):  # no validation
            continue
        assert isinstance(loader.sampler, EpochSampler)
        loader.sampler.each_once()
        for epoch in range(features.reader.views if loader.sampler.shuffle else 1):
            loader.sampler.set_epoch(epoch)
            yield from loader
