"""Train a segmenter, and leave its best weights in it."""

import json
import signal
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from adapt.build import (
    count_all_steps,
    count_epochs,
    count_steps,
    is_sharded,
    make_guards,
    make_loggers,
    make_task,
    make_trainer,
    resume_command,
)
from adapt.callbacks.averaging import AveragedWeights
from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.callbacks.early_stopping import stop_reasons
from adapt.callbacks.kept import Kept, best_good, kept_checkpoints, newest_good
from adapt.callbacks.loss_guard import BAD_BATCHES, LossGuard
from adapt.callbacks.metrics_files import JSONL, drop_lines_after
from adapt.callbacks.progress import TrainingProgress
from adapt.callbacks.short_last_epoch import ShortLastEpoch
from adapt.callbacks.throughput import Throughput
from adapt.callbacks.whole_between_steps import DividedInSteps, WholeBetweenSteps
from adapt.concepts import Vocabulary
from adapt.datamodules import SegmentationDataModule
from adapt.errors import RunError, StoppedError
from adapt.features import FeatureCache
from adapt.files import write_text
from adapt.jobs.galleries import epoch_galleries
from adapt.jobs.lightning_fit import lightning_fit
from adapt.jobs.training_figures import Training, read_training
from adapt.memory import memory_errors_explained
from adapt.processes.group import Processes
from adapt.processes.sharding import in_a_copy
from adapt.processes.signals import Signals
from adapt.recipe import Recipe
from adapt.runs import CHECKPOINTS, TRAINING
from adapt.segmenters import PromptableSegmenter, encoder_trains
from adapt.segmenters.compiled import compile_encoder
from adapt.task import AdaptTask
from adapt.tuning import trainable_table
from adapt.wording import counted


def train(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    *,
    features: FeatureCache | None,
    vocabulary: Vocabulary | None = None,
    stops: Sequence[Callback],
    keep: Callable[[], object],
    processes: Processes,
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
        vocabulary: likewise, of a recipe that learns concepts.
        stops: see `stopping_rules`.
        keep: writes the segmenter as it is; called by the first process when training is done, or interrupted.
        processes: that train together.
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
    task = make_task(recipe, segmenter, steps_per_epoch=steps_per_epoch, features=features, vocabulary=vocabulary)
    last = processes.agreed(lambda: newest_good(checkpoints, tell=notice))
    if last is not None:
        _go_on(last, data, notice=notice)
    steps, epochs = (0, 0) if last is None else (last.place.steps, last.place.epochs)
    for file in (folder / JSONL, folder / BAD_BATCHES) if processes.first else ():
        drop_lines_after(file, steps=steps, epochs=epochs)  # also of a run that was killed before its first checkpoint
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
                ShortLastEpoch(),  # before all that ask how long an epoch is
                *([DividedInSteps()] if is_sharded(recipe) else []),
                *([AveragedWeights(recipe.optimizer.ema)] if recipe.optimizer.ema else []),  # before all that look
                *([WholeBetweenSteps()] if is_sharded(recipe) else []),
                *guards,
                *stops,
                throughput,
                TrainingProgress(console, throughput, steps=count_all_steps(recipe, steps_per_epoch=steps_per_epoch)),
                *epoch_galleries(recipe, data, segmenter, folder=folder, device=device),
            ],
            validated=validated,
        )
        advice = f"resume with: {resume_command(run_folder)}"
        try:
            with (
                memory_errors_explained(
                    recipe, image_size=segmenter.spec.image_size, encoder_trains=encoder_trains(segmenter)
                ),
                in_a_copy(segmenter) if is_sharded(recipe) else nullcontext(),
            ):
                if recipe.trainer.compile:
                    compile_encoder(segmenter, device)
                lightning_fit(trainer, task, data, None if last is None else last.path)
        except StoppedError as stopped:
            if stopped.received == signal.SIGINT and processes.first:  # somebody is there, who may want to see it
                _restore(task, best_good(checkpoints, tell=notice))
                keep()
                console.print(
                    f"the model so far is kept: adapt evaluate {folder}", highlight=False, markup=False, soft_wrap=True
                )
            raise StoppedError(stopped.received, advice) from None
        except SystemExit:  # what Lightning makes of a second Ctrl-C
            raise KeyboardInterrupt from None
        finally:
            finish_tracking()
        if signals.received is not None:  # it came when training had ended, and whoever sent it is waiting
            raise StoppedError(signals.received, advice)
    for reason in stop_reasons(stops):
        epochs = kept_checkpoints(checkpoints, tell=notice)[-1].place.epochs
        console.print(f"stopped after epoch {epochs}: {reason}", highlight=False, soft_wrap=True)
    skipped = sum(guard.skipped for guard in guards if isinstance(guard, LossGuard))
    if skipped:
        notice(f"{counted(skipped, 'step')} skipped for loss or gradient; {folder / BAD_BATCHES} names the samples")
    chosen = processes.agreed(lambda: best_good(checkpoints, tell=notice))
    _restore(task, chosen)
    if validated and chosen.place.score is None:
        notice(
            "no epoch kept within trainer.stop_forgetting, so the last weights are taken; train at a lower rate, or "
            "allow more"
        )
    figures = {
        "seconds": throughput.seconds,
        "samples_per_second": throughput.samples_per_second,
        "data_wait_share": throughput.wait_share,
        "trainable_parameters": sum(count for _, count, _ in trainable_table(segmenter)),
    }

    def finish() -> None:
        keep()
        write_text(folder / TRAINING, json.dumps(figures, indent=2) + "\n")  # from now on training is done

    processes.agreed(finish)
    return read_training(folder)


def _go_on(last: Kept, data: SegmentationDataModule, *, notice: Callable[[str], None]) -> None:
    """Let the data go on from a checkpoint.

    Raises:
        RunError: the data are others than those that it was written with.
    """
    place = last.place
    batches = data.train_batches(place.epochs - (place.batches == 0))  # of the epoch in which it was written
    if place.batches_per_epoch != batches:
        raise RunError(
            f"{last.path}: an epoch had {place.batches_per_epoch:,} batches, and has {batches:,} now, so the data have "
            "changed since; put them back, or fit again"
        )
    if place.data != data.store.folder.name:
        notice("the data were prepared anew since this run began; it goes on with them as they are")
    data.resume_at(place.epochs, batches=place.batches)
    notice(f"going on after {counted(place.steps, 'step')}, from {last.path}")


def _restore(task: AdaptTask, kept: Kept) -> None:
    """Put the tuned weights of a checkpoint back into the task's segmenter."""
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(kept.path)["state_dict"])
