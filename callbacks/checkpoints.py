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


def best_and_last(folder: Path, *, validated: bool) -> ModelCheckpoint:
    """`best.ckpt`, by `val/miou` (without validation there is none), and `last.ckpt`."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor="val/miou" if validated else None,
        mode="max",
        save_top_k=1 if validated else 0,
        save_last=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
