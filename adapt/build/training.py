"""From a recipe to task, loggers, guards and trainer."""

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy, Strategy
from rich.console import Console

from adapt.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from adapt.callbacks.loss_guard import LossGuard
from adapt.callbacks.metrics_files import MetricsFiles
from adapt.callbacks.tracking import tensorboard_logger, wandb_tracker
from adapt.clips import Clips
from adapt.concepts import ConceptObjective, ConceptWeights, MatchCosts, Vocabulary
from adapt.datamodules import SegmentationDataModule, Store
from adapt.features import FeatureCache
from adapt.losses import LossWeights
from adapt.optimization import OptimizationPlan, PartRates
from adapt.processes.collective import this_process
from adapt.processes.launcher import count_processes, launcher
from adapt.processes.sharding import ShardedStrategy
from adapt.processes.signals import Signals
from adapt.prompts import PromptSimulation, Session
from adapt.recipe import Recipe
from adapt.runs import CHECKPOINTS
from adapt.segmenters import PromptableSegmenter
from adapt.semantic import ClassObjective
from adapt.session import Objective
from adapt.task import AdaptTask

LOG_EVERY = 10
"""Steps between lines of the metrics files."""


def count_steps(recipe: Recipe, data: SegmentationDataModule) -> int:
    """Optimiser steps of an epoch, of all processes; the last one may have fewer images."""
    settings = recipe.trainer
    samples = len(data.starts(data.splits.train))
    batches = math.ceil(samples / (count_processes(recipe) * settings.batch_size))
    return math.ceil(batches / settings.accumulate)


def count_epochs(recipe: Recipe, *, steps_per_epoch: int) -> int:
    """Epochs of a run: as the recipe says, or more until `trainer.min_steps`, and none behind `trainer.max_steps`."""
    settings = recipe.trainer
    epochs = max(settings.epochs, math.ceil(settings.min_steps / steps_per_epoch))
    return min(epochs, math.ceil(settings.max_steps / steps_per_epoch)) if settings.max_steps else epochs


def count_all_steps(recipe: Recipe, *, steps_per_epoch: int) -> int:
    """Optimiser steps of a run; its last epoch may have fewer than the others."""
    steps = count_epochs(recipe, steps_per_epoch=steps_per_epoch) * steps_per_epoch
    return min(steps, recipe.trainer.max_steps or steps)


def is_sharded(recipe: Recipe) -> bool:
    """Whether the model is divided among the processes; one alone has all of it."""
    return recipe.trainer.strategy == "fsdp2" and count_processes(recipe) > 1


def make_task(
    recipe: Recipe,
    segmenter: PromptableSegmenter,
    *,
    steps_per_epoch: int,
    features: FeatureCache | None = None,
    vocabulary: Vocabulary | None = None,
) -> AdaptTask:
    """The task around a segmenter whose trainable parameters are chosen; `features`, `vocabulary` are its data's."""
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
                presence=loss.presence_weight,
            ),
            at=loss.at,
            points=loss.points,
        ),
        plan=make_plan(recipe, steps_per_epoch=steps_per_epoch),
        clips=Clips(corrected=recipe.clips.corrected),
        accumulate=recipe.trainer.accumulate,
        recompute=recipe.trainer.recompute,
        classes=_class_objective(recipe),
        concepts=None if vocabulary is None else _concept_objective(recipe, vocabulary),
        sharded=is_sharded(recipe),
    )


def _class_objective(recipe: Recipe) -> ClassObjective | None:
    """What is learnt of the recipe's classes; None if it names none."""
    settings, at = recipe.semantic, recipe.loss.at
    if not settings.classes:
        return None
    assert at != "points"  # the schema refuses it
    return ClassObjective(
        classes=tuple(settings.classes),
        cross_entropy=settings.cross_entropy_weight,
        dice=settings.dice_weight,
        at=at,
    )


def _concept_objective(recipe: Recipe, vocabulary: Vocabulary) -> ConceptObjective:
    """What is learnt of the categories of the data."""
    settings = recipe.concepts
    return ConceptObjective(
        vocabulary=vocabulary,
        present=settings.present,
        absent=settings.absent,
        weights=ConceptWeights(
            score=settings.score_weight,
            positive=settings.positive_weight,
            presence=settings.presence_weight,
            box=settings.box_weight,
            giou=settings.giou_weight,
            focal=settings.focal_weight,
            dice=settings.dice_weight,
            costs=MatchCosts(score=settings.score_cost, box=settings.box_cost, giou=settings.giou_cost),
        ),
        threshold=recipe.text.concept_threshold,
        seed=recipe.seed,
    )


def make_plan(recipe: Recipe, *, steps_per_epoch: int) -> OptimizationPlan:
    """The plan of the optimiser for a run of so many optimiser steps an epoch."""
    optimizer = recipe.optimizer
    return OptimizationPlan(
        learning_rate=optimizer.learning_rate,
        weight_decay=optimizer.weight_decay,
        warmup_steps=optimizer.warmup_steps,
        schedule=optimizer.schedule,
        total_steps=count_all_steps(recipe, steps_per_epoch=steps_per_epoch),
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


def make_loggers(
    recipe: Recipe, *, name: str, folder: Path, console: Console
) -> tuple[list[Logger], Callable[[], None]]:
    """Metrics files, and what `tracking` asks for, in the first process; and what to call at the end of training."""
    if this_process()[0]:
        return [], lambda: None
    files = MetricsFiles(folder)
    if recipe.tracking == "wandb":
        title, config = f"{name} {folder.name}", recipe.model_dump(mode="json")
        tracker = wandb_tracker(recipe.wandb, name=title, folder=folder, config=config, console=console)
        return ([files], lambda: None) if tracker is None else ([files, tracker], tracker.finish)
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
    processes, timeout = count_processes(recipe), timedelta(seconds=settings.process_timeout)
    strategy: str | Strategy = "auto"
    if processes > 1:
        sharded = is_sharded(recipe)
        strategy = ShardedStrategy(processes, timeout=timeout) if sharded else DDPStrategy(timeout=timeout)
    return lightning.Trainer(
        accelerator=device.type,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=strategy,
        precision=settings.precision,
        max_epochs=epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.gradient_clip or None,
        logger=list(loggers),
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO(), launcher()],
        default_root_dir=folder,
        log_every_n_steps=LOG_EVERY,
        num_sanity_val_steps=0,
        inference_mode=not is_sharded(recipe),  # weights that are put together there are trained on
        limit_val_batches=1.0 if validated else 0,
        enable_model_summary=False,
        enable_progress_bar=False,  # `TrainingProgress` shares the console of the run
        use_distributed_sampler=False,
    )
