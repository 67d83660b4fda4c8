"""Train a segmenter, and leave its best weights in it."""

import json
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from adapt.build import count_epochs, count_steps, make_guards, make_loggers, make_task, make_trainer, resume_command
from adapt.callbacks.averaging import AveragedWeights
from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.callbacks.early_stopping import StopForgetting, stop_reasons, stop_without_progress
from adapt.callbacks.kept import Kept, best_good, kept_checkpoints, newest_good
from adapt.callbacks.loss_guard import BAD_BATCHES, LossGuard
from adapt.callbacks.metrics_files import JSONL, drop_lines_after, read_metrics
from adapt.callbacks.progress import TrainingProgress
from adapt.callbacks.throughput import Throughput
from adapt.datamodules import SegmentationDataModule
from adapt.errors import RecipeError, RunError, StoppedError
from adapt.features import FeatureCache
from adapt.files import write_text
from adapt.galleries import epoch_galleries
from adapt.memory import memory_errors_explained
from adapt.recipe import Recipe
from adapt.retention import GeneralImages, GeneralScore
from adapt.runs import CHECKPOINTS, TRAINING
from adapt.segmenters import PromptableSegmenter
from adapt.segmenters.compiled import compile_encoder
from adapt.signals import Signals
from adapt.task import AdaptTask
from adapt.tuning import trainable_table
from adapt.wording import counted


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    trainable_parameters: int
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
    run_folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> Training:
    """Fit, leave the best weights in the segmenter, and write it and its figures into the folder.

    If the folder holds a checkpoint, training goes on from there, as if it had never been stopped.

    Args:
        recipe: of the run, or of the stage.
        data: of it.
        segmenter: what trains is chosen.
        features: those of the data.
        stops: see `stopping_rules`.
        keep: writes the segmenter as it is; called when training is done, or interrupted.
        folder: of the run, or of the stage.
        run_folder: of the run.
        device: to train on.
        name: of the recipe.
        console: for progress and notices.

    Raises:
        StoppedError: a signal came; all is saved.
        RunError: a loss was no number, or the workers that load data died or stalled.
    """

    def notice(text: str) -> None:
        console.print(f"notice: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)

    checkpoints = folder / CHECKPOINTS
    steps_per_epoch = count_steps(recipe, data)
    task = make_task(recipe, segmenter, steps_per_epoch=steps_per_epoch, features=features)
    last = newest_good(checkpoints, tell=notice)
    if last is not None:
        _go_on(last, data, folder=folder, notice=notice)
    if recipe.trainer.compile:
        compile_encoder(segmenter, device)
    throughput, validated = Throughput(), bool(data.splits.validation)
    loggers, finish_tracking = make_loggers(recipe, name=name, folder=folder, console=console)
    with Signals() as signals:
        guards = make_guards(recipe, data.store, folder=folder, run_folder=run_folder, signals=signals, console=console)
        trainer = make_trainer(
            recipe,
            device,
            epochs=count_epochs(recipe, steps_per_epoch=steps_per_epoch),
            folder=folder,
            loggers=loggers,
            callbacks=[
                *([AveragedWeights(recipe.optimizer.ema)] if recipe.optimizer.ema else []),  # before all that look
                *guards,
                *stops,
                throughput,
                TrainingProgress(console, throughput),
                *epoch_galleries(recipe, data, segmenter, folder=folder, device=device),
            ],
            validated=validated,
        )
        try:
            with memory_errors_explained(
                recipe, image_size=segmenter.spec.image_size, encoder_trains=_encoder_trains(segmenter)
            ):
                _fit(trainer, task, data, None if last is None else last.path)
        except StoppedError as stopped:
            advice = f"resume with: {resume_command(run_folder)}"
            if stopped.received == signal.SIGINT:  # somebody is there, who may want to see what there is
                _restore(task, checkpoints, notice=notice)
                keep()
                console.print(
                    f"the model so far is kept: adapt evaluate {folder}", highlight=False, markup=False, soft_wrap=True
                )
            raise StoppedError(stopped.received, advice) from None
        except SystemExit:  # what Lightning makes of a second Ctrl-C
            raise KeyboardInterrupt from None
        finally:
            finish_tracking()
    for reason in stop_reasons(stops):
        epochs = kept_checkpoints(checkpoints, tell=notice)[-1].place.epochs
        console.print(f"stopped after epoch {epochs}: {reason}", highlight=False, soft_wrap=True)
    skipped = sum(guard.skipped for guard in guards if isinstance(guard, LossGuard))
    if skipped:
        notice(f"{counted(skipped, 'step')} skipped for loss or gradient; {folder / BAD_BATCHES} names the samples")
    chosen = _restore(task, checkpoints, notice=notice)
    if validated and chosen.place.score is None:
        notice(
            "no epoch kept within trainer.stop_forgetting, so the last weights are taken; train at a lower rate, or "
            "allow more"
        )
    keep()
    figures = {
        "seconds": throughput.seconds,
        "samples_per_second": throughput.samples_per_second,
        "data_wait_share": throughput.wait_share,
        "trainable_parameters": sum(count for _, count, _ in trainable_table(segmenter)),
    }
    write_text(folder / TRAINING, json.dumps(figures, indent=2) + "\n")  # from now on training is done
    return read_training(folder)


def read_training(folder: Path) -> Training:
    """The figures of a training that is done.

    Raises:
        RunError: they cannot be read.
    """
    try:
        figures = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
        return Training(**figures, curves=_curves(folder))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{folder / TRAINING} cannot be read ({error}); remove it, and resume again") from None


def _go_on(last: Kept, data: SegmentationDataModule, *, folder: Path, notice: Callable[[str], None]) -> None:
    """Let data and metrics files go on from a checkpoint.

    Raises:
        RunError: the data are others than those that it was written with.
    """
    place, batches = last.place, len(data.train_dataloader())
    if place.batches_per_epoch != batches:
        raise RunError(
            f"{last.path}: an epoch had {place.batches_per_epoch:,} batches, and has {batches:,} now, so the data have "
            "changed since; put them back, or fit again"
        )
    if place.data != data.store.folder.name:
        notice("the data were prepared anew since this run began; it goes on with them as they are")
    data.resume_at(place.epochs, batches=place.batches)
    for file in (folder / JSONL, folder / BAD_BATCHES):
        drop_lines_after(file, steps=place.steps, epochs=place.epochs)
    notice(f"going on after {counted(place.steps, 'step')}, from {last.path}")


def _fit(trainer: lightning.Trainer, task: AdaptTask, data: SegmentationDataModule, checkpoint: Path | None) -> None:
    """Lightning's fit.

    Raises:
        RunError: the workers that load data died, or gave nothing for too long.
    """
    others = set(multiprocessing.active_children())
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*ended before the epoch ended and your dataloader.*"
        )  # ours resumes
        try:
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint)
        except RuntimeError as error:
            if not str(error).startswith("DataLoader"):
                raise
            raise RunError(_of_workers(str(error).splitlines()[0])) from None
        finally:
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # Python would wait for one that is stuck, for ever
                worker.join()


def _of_workers(error: str) -> str:
    if "timed out" in error:
        return (
            f"the workers that load data gave nothing for trainer.loader_timeout seconds ({error}), so training has "
            "stopped. A disk or a network share that hangs is the usual reason; then resume, or raise it, or set "
            "trainer.workers=0"
        )
    return (
        f"a worker that loads data has died ({error}), so training has stopped. Want of memory is the usual reason: "
        "lower trainer.workers or trainer.batch_size, or give a container more of /dev/shm (--shm-size); then resume"
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


def _restore(task: AdaptTask, checkpoints: Path, *, notice: Callable[[str], None]) -> Kept:
    """Put the best tuned weights back into the task's segmenter; says of which checkpoint they are."""
    best = best_good(checkpoints, tell=notice)
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(best.path)["state_dict"])
    return best


def _curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    names = {"train/loss_epoch": "training loss", "val/miou": "validation mIoU"}
    rows = read_metrics(folder)
    return {
        title: [(row["epoch"] + 1, row[key]) for row in rows if row.get(key) is not None]
        for key, title in names.items()
    }
