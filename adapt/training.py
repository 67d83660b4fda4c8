"""Train a segmenter, and leave its best weights in it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from adapt.build import count_epochs, count_steps, make_loggers, make_task, make_trainer
from adapt.callbacks.averaging import AveragedWeights
from adapt.callbacks.checkpoints import AtomicCheckpointIO, best_checkpoint, last_checkpoint
from adapt.callbacks.early_stopping import StopForgetting, stop_reasons, stop_without_progress
from adapt.callbacks.metrics_files import read_metrics
from adapt.callbacks.progress import TrainingProgress
from adapt.callbacks.throughput import Throughput
from adapt.datamodules import SegmentationDataModule
from adapt.errors import RecipeError
from adapt.features import FeatureCache
from adapt.galleries import epoch_galleries
from adapt.memory import memory_errors_explained
from adapt.recipe import Recipe
from adapt.retention import GeneralImages, GeneralScore
from adapt.runs import CHECKPOINTS
from adapt.segmenters import PromptableSegmenter
from adapt.segmenters.compiled import compile_encoder
from adapt.task import AdaptTask


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    curves: dict[str, list[tuple[float, float]]]

    def __str__(self) -> str:
        speed = f"{self.samples_per_second:.1f} samples/s"
        return f"{self.seconds:.0f} s: {speed}, {100 * self.data_wait_share:.1f} % of it waiting for data"


def train(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    *,
    features: FeatureCache | None,
    stops: Sequence[Callback],
    keep: Callable[[], object],
    folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> Training:
    """Fit, and leave the best weights in the segmenter.

    Args:
        recipe: of the run, or of a stage.
        data: see `make_data`.
        segmenter: tuned by `tune`.
        features: those of the data.
        stops: see `stopping_rules`.
        keep: writes the segmenter as it is; called when training is interrupted.
        folder: for checkpoints and metrics.
        device: to train on.
        name: of the recipe.
        console: for progress.
    """
    if recipe.trainer.compile:
        compile_encoder(segmenter, device)
    throughput = Throughput()
    validated = bool(data.splits.validation)
    last, best = last_checkpoint(folder / CHECKPOINTS), best_checkpoint(folder / CHECKPOINTS)
    loggers, finish_tracking = make_loggers(recipe, name=name, folder=folder, console=console)
    steps_per_epoch = count_steps(recipe, data)
    trainer = make_trainer(
        recipe,
        device,
        epochs=count_epochs(recipe, steps_per_epoch=steps_per_epoch),
        folder=folder,
        loggers=loggers,
        callbacks=[
            *([AveragedWeights(recipe.optimizer.ema)] if recipe.optimizer.ema else []),  # before all that look at them
            last,
            *([best] if validated else []),
            *stops,
            throughput,
            TrainingProgress(console, throughput),
            *epoch_galleries(recipe, data, segmenter, folder=folder, device=device),
        ],
        validated=validated,
    )
    task = make_task(recipe, segmenter, steps_per_epoch=steps_per_epoch, features=features)
    begun = time.perf_counter()
    try:
        with memory_errors_explained(
            recipe, image_size=segmenter.spec.image_size, encoder_trains=_encoder_trains(segmenter)
        ):
            trainer.fit(task, datamodule=data)
    except SystemExit:  # what Lightning makes of Ctrl-C
        kept = best.best_model_path or last.best_model_path
        if kept:
            _restore(task, kept)
            keep()
        said = f"the model so far is kept: adapt evaluate {folder}" if kept else "no epoch was done"
        console.print(f"interrupted; {said}", highlight=False, markup=False, soft_wrap=True)
        raise KeyboardInterrupt from None
    finally:
        finish_tracking()
    seconds = time.perf_counter() - begun
    for reason in stop_reasons(stops):
        console.print(f"stopped after epoch {trainer.current_epoch}: {reason}", highlight=False, soft_wrap=True)
    if validated and not best.best_model_path:
        console.print(
            "[yellow]notice:[/] no epoch kept within trainer.stop_forgetting, so the last weights are taken; train at "
            "a lower rate, or allow more",
            highlight=False,
            soft_wrap=True,
        )
    _restore(task, best.best_model_path or last.best_model_path)
    return Training(
        seconds=seconds,
        samples_per_second=throughput.samples_per_second,
        data_wait_share=throughput.wait_share,
        curves=_curves(folder),
    )


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
        measure = GeneralScore(general, segmenter, device=device, frozen=not _encoder_trains(segmenter))
        rules.append(StopForgetting(measure, limit=settings.stop_forgetting))
    return rules


def _encoder_trains(segmenter: PromptableSegmenter) -> bool:
    return any(parameter.requires_grad for parameter in segmenter.encoder.parameters())


def _restore(task: AdaptTask, checkpoint: str) -> None:
    """Put the tuned weights of a checkpoint back into the task's segmenter."""
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(checkpoint)["state_dict"])


def _curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    names = {"train/loss_epoch": "training loss", "val/miou": "validation mIoU"}
    rows = read_metrics(folder)
    return {
        title: [(row["epoch"] + 1, row[key]) for row in rows if row.get(key) is not None]
        for key, title in names.items()
    }
