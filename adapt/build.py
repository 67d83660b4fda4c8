"""The only wiring: from a recipe to segmenter, data, task, loggers and trainer."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from rich.console import Console
from rich.markup import escape

from adapt.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from adapt.callbacks.loss_guard import LossGuard
from adapt.callbacks.metrics_files import MetricsFiles
from adapt.callbacks.tracking import finish_wandb, tensorboard_logger, wandb_logger
from adapt.datamodules import Redraw, SegmentationDataModule, Source, Splits, Store, split_groups
from adapt.datamodules.coco import coco_source
from adapt.datamodules.folder import folder_source
from adapt.datamodules.generated import PREFIX, generated_folder
from adapt.datamodules.hub import hub_source
from adapt.datamodules.medical import medical_source
from adapt.datamodules.store import Facts, open_or_make
from adapt.datamodules.synthetic import redraw, synthetic_source
from adapt.datamodules.transforms import Augmentation
from adapt.datamodules.yolo import yolo_source
from adapt.errors import RecipeError
from adapt.evaluate import shared_stages
from adapt.features import (
    About,
    FeatureCache,
    FeaturePlan,
    features_folder,
    plan_features,
    prefix_key,
    room_for_features,
)
from adapt.losses import LossWeights
from adapt.optimization import OptimizationPlan, PartRates, parameter_groups, rate_range
from adapt.prompts import PromptSimulation, Session
from adapt.recipe import (
    CocoData,
    DataSettings,
    FolderData,
    HubData,
    MedicalData,
    MicroscopyData,
    Recipe,
    SatelliteData,
    SyntheticData,
    YoloData,
    group_rule,
)
from adapt.runs import CHECKPOINTS
from adapt.segmenters import (
    TINY,
    TINY_NOTE,
    PromptableSegmenter,
    SegmenterSpec,
    fold_positions,
    freeze_boundary,
    load_segmenter,
    random_segmenter,
)
from adapt.session import Objective
from adapt.signals import Signals
from adapt.task import AdaptTask
from adapt.tuning import choose, trainable_table
from adapt.wording import counted

LOG_EVERY = 10
"""Steps between lines of the metrics files."""


def make_store(recipe: Recipe, console: Console) -> Store:
    """The prepared data of a recipe, made at the first call, opened at later ones; names the cases it skips."""
    return _store_of(recipe.data, recipe, console)


def make_general_store(recipe: Recipe, console: Console) -> Store:
    """The prepared general images of `evaluation.retention`, likewise."""
    return _store_of(recipe.evaluation.retention.data, recipe, console)


def _store_of(data: DataSettings, recipe: Recipe, console: Console) -> Store:
    store = open_store(data, recipe, console, on_error=data.on_error)
    for error in store.facts.skipped:
        console.print(f"[yellow]skipped:[/] {escape(error)}", highlight=False, soft_wrap=True)
    return store


def open_store(data: DataSettings, recipe: Recipe, console: Console, *, on_error: str) -> Store:
    """Prepared data for a recipe, whatever it says about cases that cannot be used: `fail`, or `skip` them."""
    cache = Path(recipe.cache).expanduser()
    return open_or_make(
        make_source(data.model_copy(update={"on_error": on_error}), cache),
        settings=data.model_dump(mode="json", exclude={"root", "on_error"}),
        cache=cache,
        console=console,
        on_error=on_error,
        workers=recipe.trainer.workers,
    )


def make_source(data: DataSettings, cache: Path) -> Source:
    """The cases of a recipe's data, not yet read; readers of an extra are imported only where they are needed."""
    if isinstance(data, SyntheticData):
        return synthetic_source(data)
    generated = data.root.startswith(PREFIX)
    root = generated_folder(data.root, kind=data.kind, cache=cache) if generated else Path(data.root).expanduser()
    match data:
        case MedicalData():
            return medical_source(data, root)
        case FolderData():
            return folder_source(data, root)
        case CocoData():
            return coco_source(data, root)
        case SatelliteData():
            from adapt.datamodules.satellite import satellite_source  # needs an extra

            return satellite_source(data, root)
        case MicroscopyData():
            from adapt.datamodules.microscopy import microscopy_source  # needs an extra

            return microscopy_source(data, root)
        case YoloData():
            return yolo_source(data, root)
        case HubData():
            return hub_source(data, root)


def make_splits(recipe: Recipe, store: Store, console: Console) -> Splits:
    """Groups of train, validation and test; says so when there is no validation."""
    splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    if not splits.validation:
        console.print(
            "[yellow]notice:[/] no group is left for validation, so the last weights are kept rather than the best",
            highlight=False,
            soft_wrap=True,
        )
    key, rule = next(iter(group_rule(recipe.data).items()), ("", ""))
    if rule is None and not isinstance(recipe.data, MedicalData | SatelliteData):  # a volume is a patient
        console.print(
            "[yellow]notice:[/] each image is a group of its own; if several show one patient, scene or slide, set "
            f"{key}, or the test split is not independent of training",
            highlight=False,
            soft_wrap=True,
        )
    return splits


def redraw_of(data: DataSettings) -> Redraw | None:
    """What draws the images of later epochs; None for data that is read, or drawn once."""
    return partial(redraw, data) if isinstance(data, SyntheticData) and data.fresh else None


def plan_training_features(
    recipe: Recipe, segmenter: PromptableSegmenter, store: Store, splits: Splits
) -> FeaturePlan | None:
    """What a fit will keep of frozen features; None if the recipe keeps none, or there are none to keep."""
    boundary = freeze_boundary(segmenter.stages)
    if _nothing_to_keep(recipe, boundary):
        return None
    images = Counter(store.groups)
    return plan_features(
        segmenter,
        boundary=boundary,
        dtype=recipe.features.dtype,
        training=sum(images[group] for group in splits.train),
        other=sum(images[group] for group in (*splits.validation, *splits.test)),
        views=recipe.features.views if any(recipe.augment.model_dump().values()) else 1,
        room=_room_for_features(recipe),
    )


def open_test_features(
    recipe: Recipe, models: Mapping[str, PromptableSegmenter], *, images: int, console: Console
) -> FeatureCache | None:
    """The cache that an evaluation of so many images reads and fills, behind what its models have in common."""
    boundary = shared_stages(list(models.values()))
    if not recipe.features.cache or not boundary:
        return None
    room, first = _room_for_features(recipe), next(iter(models.values()))
    plan = plan_features(
        first, boundary=boundary, dtype=recipe.features.dtype, training=0, other=images, views=1, room=room
    )
    return open_features(recipe, first, plan, precision="32-true", console=console)


def _nothing_to_keep(recipe: Recipe, boundary: int) -> str:
    """Why there are no frozen features to keep; empty if there are some."""
    if not recipe.features.cache:
        return "not kept: features.cache is false"
    if not boundary:
        return "none: the image encoder trains from its first layer on"
    return "not kept: the images are drawn anew for each epoch" if redraw_of(recipe.data) is not None else ""


def _room_for_features(recipe: Recipe) -> int:
    return room_for_features(Path(recipe.cache).expanduser(), limit=int(recipe.features.limit_gb * 1e9))


def open_features(
    recipe: Recipe, segmenter: PromptableSegmenter, plan: FeaturePlan | None, *, precision: str, console: Console
) -> FeatureCache | None:
    """The cache that a plan asks for; says so if there is too little room for it."""

    def notice(text: str) -> None:
        console.print(f"[yellow]notice:[/] {escape(text)}", highlight=False, soft_wrap=True)

    if plan is not None and plan.shortage:
        notice(plan.shortage)
    if plan is None or not plan.views:
        return None
    settings, spec = recipe.features, segmenter.spec
    key = prefix_key(segmenter, boundary=plan.boundary, dtype=settings.dtype, precision=precision)
    return FeatureCache(
        features_folder(Path(recipe.cache).expanduser()) / key,
        about=About(recipe.model.checkpoint, plan.boundary, plan.stages, spec.image_size, settings.dtype),
        views=plan.views,
        limit=int(settings.limit_gb * 1e9),
        notice=notice,
    )


def make_data(
    recipe: Recipe,
    store: Store,
    splits: Splits,
    spec: SegmenterSpec,
    device: torch.device,
    *,
    features: FeatureCache | None = None,
) -> SegmentationDataModule:
    """Batches of a recipe's data for a segmenter that runs on `device`; with cached features where there are some."""
    return SegmentationDataModule(
        store,
        splits,
        spec,
        augmentation=Augmentation(recipe.augment),
        settings=recipe.trainer,
        seed=recipe.seed,
        pin_memory=device.type == "cuda",
        redraw=redraw_of(recipe.data),
        features=None if features is None else features.reader,
    )


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


def count_steps(recipe: Recipe, data: SegmentationDataModule) -> int:
    """Optimiser steps of an epoch; the last one may have fewer than `trainer.accumulate` batches."""
    return math.ceil(len(data.train_dataloader()) / recipe.trainer.accumulate)


def count_epochs(recipe: Recipe, *, steps_per_epoch: int) -> int:
    """Epochs of a run: as many as the recipe says, or more until `trainer.min_steps` is reached."""
    return max(recipe.trainer.epochs, math.ceil(recipe.trainer.min_steps / steps_per_epoch))


def make_task(
    recipe: Recipe, segmenter: PromptableSegmenter, *, steps_per_epoch: int, features: FeatureCache | None = None
) -> AdaptTask:
    """The task around a segmenter whose trainable parameters are chosen; `features` are those of its data."""
    prompts, loss = recipe.prompts, recipe.loss
    return AdaptTask(
        segmenter,
        features=features,
        simulation=PromptSimulation(
            seed=recipe.seed,
            box_chance=prompts.box_chance,
            box_noise=prompts.box_noise,
            box_noise_max=prompts.box_noise_max,
            uniform_noise=prompts.box_noise_kind == "uniform",
        ),
        session=Session(
            corrections=prompts.corrections,
            clicks_per_round=prompts.clicks_per_round,
            idle_rounds=prompts.idle_rounds,
            truth_click_chance=prompts.truth_click_chance,
            mask_prompts=prompts.mask_prompts,
        ),
        objective=Objective(
            weights=LossWeights(
                focal=loss.focal_weight,
                balanced=loss.pixel_loss == "balanced",
                dice=loss.dice_weight,
                iou=loss.iou_weight,
                alpha=loss.focal_alpha,
                gamma=loss.focal_gamma,
                iou_of_all=loss.iou_learns_from == "all",
                iou_absolute=loss.iou_error == "absolute",
            ),
            at=loss.at,
            points=loss.points,
        ),
        plan=make_plan(recipe, steps_per_epoch=steps_per_epoch),
        accumulate=recipe.trainer.accumulate,
        recompute=recipe.trainer.recompute,
    )


def make_plan(recipe: Recipe, *, steps_per_epoch: int) -> OptimizationPlan:
    """The plan of the optimiser for a run of so many optimiser steps an epoch."""
    optimizer = recipe.optimizer
    return OptimizationPlan(
        learning_rate=optimizer.learning_rate,
        weight_decay=optimizer.weight_decay,
        warmup_steps=optimizer.warmup_steps,
        schedule=optimizer.schedule,
        total_steps=count_epochs(recipe, steps_per_epoch=steps_per_epoch) * steps_per_epoch,
        milestones=tuple(optimizer.milestones),
        milestone_factor=optimizer.milestone_factor,
        decayed=optimizer.decayed,
        rates=PartRates(
            image_encoder=optimizer.rates.image_encoder,
            prompt_encoder=optimizer.rates.prompt_encoder,
            mask_decoder=optimizer.rates.mask_decoder,
        ),
        layer_decay=optimizer.layer_decay,
    )


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


def make_loggers(
    recipe: Recipe, *, name: str, folder: Path, console: Console
) -> tuple[list[Logger], Callable[[], None]]:
    """Metrics files, and what `tracking` asks for; and what must be called at the end of training."""
    files = MetricsFiles(folder)
    if recipe.tracking == "wandb":
        title, config = f"{name} {folder.name}", recipe.model_dump(mode="json")
        logger, run = wandb_logger(recipe.wandb, name=title, folder=folder, config=config, console=console)
        return [files, logger], lambda: finish_wandb(run, console)
    if recipe.tracking == "tensorboard":
        return [files, tensorboard_logger(folder)], lambda: None
    return [files], lambda: None


def make_guards(
    recipe: Recipe, store: Store, *, folder: Path, run_folder: Path, signals: Signals, console: Console
) -> list[Callback]:
    """What sees to it that nothing is lost: checkpoints, and a look at each loss."""
    settings = recipe.trainer
    advice = (
        "Look at these samples; then go on from the last checkpoint without them: "
        f"{resume_command(run_folder)} trainer.on_bad_loss=skip. If it is not the data, fit again with a lower "
        "optimizer.learning_rate, trainer.gradient_clip above 0, or trainer.precision=32-true"
    )
    return [
        Checkpoints(folder / CHECKPOINTS, minutes=settings.checkpoint_minutes, data=store.folder.name, signals=signals),
        LossGuard(
            folder,
            on_bad=settings.on_bad_loss,
            spike=settings.loss_spike,
            on_spike=settings.on_loss_spike,
            advice=advice,
            console=console,
        ),
    ]


def resume_command(run_folder: Path) -> str:
    """What goes on with a run."""
    return f"python -m adapt fit --resume {run_folder}"


def make_trainer(
    recipe: Recipe,
    device: torch.device,
    *,
    epochs: int,
    folder: Path,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
    validated: bool,
) -> lightning.Trainer:
    """Lightning's trainer for a run folder; without validation groups it never validates."""
    settings = recipe.trainer
    return lightning.Trainer(
        accelerator=device.type,
        devices=1,
        precision=settings.precision,
        max_epochs=epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.gradient_clip or None,
        logger=list(loggers),
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        log_every_n_steps=LOG_EVERY,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validated else 0,
        enable_model_summary=False,
        enable_progress_bar=False,  # `TrainingProgress` shares the console of the run
        use_distributed_sampler=False,
    )


def named_categories(data: DataSettings) -> list[str]:
    """The categories that a recipe names; none if it takes all that are there."""
    match data:
        case MedicalData() | FolderData() | SatelliteData() | HubData():
            return list(data.labels)
        case CocoData() | YoloData():
            return data.categories
        case _:
            return []


def _objects(store: Store, data: DataSettings) -> str:
    """Objects of each named category; a name that never occurs is most likely a mistake."""
    counts = Counter(name for names in store.rows["categories"] for name in names)
    names = named_categories(data) or sorted(counts)
    return ", ".join(f"{name} {counts[name] or 'none'}" for name in names)


def _left_out(facts: Facts) -> str:
    cases = f" ({counted(facts.empty_cases, 'case')} without any)" if facts.empty_cases else ""
    return (
        f"{counted(facts.empty_images, 'image')} without objects{cases}, "
        f"{counted(facts.small_objects, 'small object')}, {counted(len(facts.skipped), 'case')} that cannot be used"
    )


def _rates(recipe: Recipe, segmenter: PromptableSegmenter) -> str:
    """The learning rates of what trains, after the warm-up."""
    return rate_range(parameter_groups(segmenter, make_plan(recipe, steps_per_epoch=1)))


def store_lines(store: Store) -> list[tuple[str, str]]:
    """Name and value of what a store holds, and what was left out."""
    facts = store.facts
    return [
        ("samples", f"{facts.samples:,}"),
        ("objects", f"{facts.objects:,}{f', {facts.cut_objects:,} cut' if facts.cut_objects else ''}"),
        ("groups", f"{len(set(store.groups)):,}"),
        ("left out", _left_out(facts)),
        ("size", f"{facts.data_bytes / 1e6:,.1f} MB"),
    ]


def plan_lines(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    device: torch.device,
    *,
    features: FeaturePlan | None = None,
) -> list[tuple[str, str]]:
    """Name and value of what a run is about to do: data, split, model, what trains, what is kept."""
    facts, splits = data.store.facts, data.splits
    trainable = ", ".join(
        f"{part} {count:,} of {total:,}" for part, count, total in trainable_table(segmenter) if count
    )
    kept = str(features) if features is not None and features.views else ""
    kept = kept or _nothing_to_keep(recipe, freeze_boundary(segmenter.stages))
    note = f" ({TINY_NOTE})" if recipe.model.checkpoint == TINY else ""
    if recipe.model.weights == "random":
        note = " (random weights: its untouched figures are a floor)"
    return [
        (
            "data",
            f"{counted(facts.samples, 'image')} with {counted(facts.objects, 'object')} of "
            f"{counted(len(set(data.store.groups)), 'group')}; left out: {_left_out(facts)}",
        ),
        (
            "split",
            ", ".join(
                f"{name} {counted(len(data.rows(groups)), 'image')} of {counted(len(groups), 'group')}"
                for name, groups in (
                    ("train", splits.train),
                    ("validation", splits.validation),
                    ("test", splits.test),
                )
            ),
        ),
        ("model", f"{recipe.model.checkpoint}{note}, input {segmenter.spec.image_size} px, on {device}"),
        ("trains", trainable),
        ("rates", _rates(recipe, segmenter)),
        *([("features", kept)] if kept else []),
        ("objects", _objects(data.store, recipe.data)),
    ]
