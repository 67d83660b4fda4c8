"""Checkpoints that are there whole or not at all, and that hold no pickle."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import CheckpointIO

from adapt.errors import CheckpointError
from adapt.files import write_file


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's own writer stages in `$TMPDIR`, so a kill or a full disk can destroy the previous checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint beside its place and move it there."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, lambda file: torch.save(checkpoint, file))

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint: tensors and plain data only, whatever is asked for.

        Raises:
            CheckpointError: the file is missing, cut short, or holds something else.
        """
        try:
            content: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)  # type: ignore[arg-type]
        except Exception as error:  # torch raises many kinds for a broken file
            raise CheckpointError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from None
        return content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint that a better one has replaced."""
        Path(path).unlink(missing_ok=True)


def last_checkpoint(folder: Path) -> ModelCheckpoint:
    """`last.ckpt`: the weights after the last whole epoch; `save_last` would write it with a new best one only."""
    return _one_file(folder, "last", monitor=None)


def best_checkpoint(folder: Path) -> ModelCheckpoint:
    """`best.ckpt`: the weights with the highest `val/miou`, the domain mIoU of the validation split."""
    return _one_file(folder, "best", monitor="val/miou")


def _one_file(folder: Path, name: str, *, monitor: str | None) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder,
        filename=name,
        monitor=monitor,
        mode="max",
        save_top_k=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
