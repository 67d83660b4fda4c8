"""Progress for people: a bar while an epoch runs, one line when it is done."""

import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from adapt.callbacks.throughput import Throughput
from adapt.samples import Batch


class TrainingProgress(Callback):
    """A bar on a terminal, and on any output a line an epoch: loss, validation mIoU, speed and time left.

    Lightning's own bar draws on a console of its own, over which a line cannot be printed.
    """

    def __init__(self, console: Console, throughput: Throughput, *, steps: int) -> None:
        """Tell of a training of so many optimiser steps."""
        self._console, self._throughput, self._steps = console, throughput, steps
        self._begun, self._from = 0.0, 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task: TaskID = self._bar.add_task("starting", total=None, note="")

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the bar, and the clock that the time left is estimated from."""
        self._begun, self._from = time.perf_counter(), trainer.global_step
        self._bar.start()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A new epoch begins at the left."""
        self._bar.reset(self._task, total=trainer.num_training_batches, description=_title(trainer), note="")

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - whatever Lightning collected
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """One batch further; a resumed run may begin anywhere."""
        note = f"{self._throughput.samples_per_second:.1f} samples/s  {self._left(trainer)}"
        total = trainer.num_training_batches
        self._bar.update(self._task, description=_title(trainer), total=total, completed=batch_idx + 1, note=note)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what the machine is busy with."""
        self._bar.update(self._task, note="validating")

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the line."""
        metrics = trainer.callback_metrics
        parts = [_title(trainer)]
        if "train/loss_epoch" in metrics:  # resumed before a validation, an epoch has no step
            parts.append(f"loss {float(metrics['train/loss_epoch']):.3f}")
        asked = {
            "click": "val/miou_one_click",
            "box": "val/miou_box",
            "text": "val/miou_text",
            "concepts": "val/miou_concepts",
        }
        told = [f"{name} {float(metrics[key]):.3f}" for name, key in asked.items() if key in metrics]
        if told:
            parts.append(f"val mIoU: {', '.join(told)}")
        elif "val/miou" in metrics:
            parts.append(f"val mIoU of classes {float(metrics['val/miou']):.3f}")
        parts.append(f"{self._throughput.samples_per_second:.1f} samples/s")
        parts.append(self._left(trainer))
        self._console.print("  ".join(parts).rstrip(), highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Wipe the bar."""
        self._bar.stop()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back before the error is printed."""
        self._bar.stop()

    def _left(self, trainer: lightning.Trainer) -> str:
        """Time left, in words; nothing at the end, and nothing before the first step."""
        done, rest = trainer.global_step - self._from, self._steps - trainer.global_step
        if rest <= 0 or done <= 0:
            return ""
        seconds = (time.perf_counter() - self._begun) / done * rest
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"


def _title(trainer: lightning.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
