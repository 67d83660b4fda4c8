"""Checkpoints while training: at the end of each epoch, every few minutes, and when a signal asks to stop."""

import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO

from adapt.callbacks.kept import MANIFEST, Place, path_of, read_manifest, tidy, verify, write_manifest
from adapt.callbacks.state_file import read_state, write_state
from adapt.errors import RunError, StoppedError
from adapt.files import make_folder, write_file
from adapt.processes.collective import from_first, largest, whole
from adapt.processes.signals import Signals

VALIDATION = "val/miou"
PLACE, STOPPED = "place", "stopped"
"""What is added to Lightning's checkpoint: a `Place`, and whether training ended before its last epoch."""


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's own writer stages in `$TMPDIR`, so a kill or a full disk can destroy the previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint beside its place, move it there, then its manifest.

        Raises:
            RunError: it cannot be written; what was there before still is.
        """
        target, digests = Path(path), list[str]()
        make_folder(target.parent)
        write_file(target, lambda file: digests.append(write_state(checkpoint, file)))
        write_manifest(target, Place(**checkpoint[PLACE]), sha256=digests[0])

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint: tensors and plain data, on the CPU, whatever is asked for.

        Raises:
            CheckpointError: the file or its manifest is missing or damaged.
        """
        verify(read_manifest(Path(path)))
        return read_state(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Nothing: `tidy` removes what has been replaced."""


class Checkpoints(Checkpoint):
    """Saves what a training needs to go on from here as if it had never been stopped.

    Inside an epoch that is after an optimiser step; after the last one of an epoch, validation is run anew. All draws
    of a step derive from the seed and the step's number, so there is no state of a random generator to be kept.
    """

    def __init__(self, folder: Path, *, minutes: float, data: str, signals: Signals) -> None:
        """Save into a folder.

        Args:
            folder: of this training's checkpoints.
            minutes: from one checkpoint to the next inside an epoch.
            data: key of the prepared data.
            signals: noted while training runs.
        """
        self._folder, self._seconds, self._data, self._signals = folder, 60 * minutes, data, signals
        self._saved_at, self._refused = 0.0, False
        self._place: Place | None = None

    def refuse_best(self) -> None:
        """However good on the domain, the weights of this epoch are not the best."""
        self._refused = True

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock; and take back the signals, of which Lightning has taken some."""
        self._signals.install()
        self._saved_at = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop, if a signal came when the last epoch was ending; it is saved."""
        _stop(self._agreed(trainer)[1])

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - whatever Lightning collected
        batch: object,
        batch_idx: int,
    ) -> None:
        """Save if it is time to, or if a signal came; then stop."""
        last = batch_idx + 1 == trainer.num_training_batches
        if last and not trainer.enable_validation:
            return  # the epoch ends, and is saved, now
        if not last and (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # a step of several batches has begun
        due = time.monotonic() - self._saved_at >= self._seconds
        due, asked = self._agreed(trainer, due)
        if due or asked:
            self._save(trainer, batches=batch_idx + 1)
        _stop(asked)

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - whatever Lightning collected
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """If a signal came, save what is to be validated, and stop."""
        _, asked = self._agreed(trainer)
        if asked:
            self._save(trainer, batches=int(trainer.num_training_batches))
        _stop(asked)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save, with the validation mIoU."""
        score = trainer.callback_metrics.get(VALIDATION)
        self._save(trainer, batches=0, score=None if score is None or self._refused else float(score))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop, if a signal came at the very end; all is saved."""
        _stop(self._agreed(trainer)[1])

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a resumed run asks for."""
        assert self._place is not None  # nothing else saves
        checkpoint[PLACE], checkpoint[STOPPED] = asdict(self._place), trainer.should_stop
        if self._place.batches == self._place.batches_per_epoch:
            validation_comes_next(checkpoint["loops"]["fit_loop"])

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A training that had ended early is not trained on."""
        trainer.should_stop = checkpoint[STOPPED]

    def _save(self, trainer: lightning.Trainer, *, batches: int, score: float | None = None) -> None:
        _refuse_broken(trainer.lightning_module, trainer.global_step)
        self._place = Place(
            epochs=trainer.current_epoch + (batches == 0),  # Lightning counts an epoch later than this
            batches=batches,
            batches_per_epoch=int(trainer.num_training_batches),
            steps=trainer.global_step,
            score=score,
            data=self._data,
        )
        path = path_of(self._folder, self._place)
        if not from_first(path.with_suffix(MANIFEST).exists()):  # as it is after a resume from there
            trainer.save_checkpoint(path)
            if trainer.is_global_zero:
                tidy(self._folder)
        self._saved_at = time.monotonic()

    def _agreed(self, trainer: lightning.Trainer, due: bool = False) -> tuple[bool, int]:
        """Whether it is time to save in any process, and the number of a signal that any has received; 0 for none."""
        wanted = torch.tensor([int(due), self._signals.received or 0], device=trainer.strategy.root_device)
        any_due, asked = largest(wanted).tolist()
        return bool(any_due), asked


def _stop(asked: int) -> None:
    if asked:
        raise StoppedError(signal.Signals(asked))


def validation_comes_next(loops: dict[str, Any]) -> None:
    """Let Lightning's counters say that an epoch's last batch is done, and that its validation has just begun.

    As it counts itself, a run resumed from there would pass over the validation, or over a part of it.
    """
    for counters in (loops["epoch_loop.batch_progress"]["total"], loops["epoch_loop.batch_progress"]["current"]):
        counters["completed"] = counters["processed"]
    for name in ("total", "current"):
        loops["epoch_loop.val_loop.batch_progress"][name] = {"ready": 1, "completed": 0, "started": 1, "processed": 0}
    loops["epoch_loop.val_loop.batch_progress"]["is_last_batch"] = False


def _refuse_broken(module: lightning.LightningModule, steps: int) -> None:
    trained = [(name, values) for name, values in module.named_parameters() if values.requires_grad]
    broken = [name for name, values in trained if not bool(torch.isfinite(whole(values.detach())).all())]
    if broken:
        raise RunError(
            f"after {steps} steps {len(broken)} weights are no numbers ({broken[0]}), so they are not saved; the "
            "checkpoint before is kept. Lower optimizer.learning_rate, keep trainer.gradient_clip above 0, or set "
            "trainer.precision=32-true"
        )
