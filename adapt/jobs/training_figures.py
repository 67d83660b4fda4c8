"""What a training took and how it went: its figures for the report, written when it is done."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from adapt.callbacks.metrics_files import read_metrics
from adapt.errors import RunError
from adapt.runs import TRAINING


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    trainable_parameters: int
    curves: dict[str, list[tuple[float, float]]]

    def as_dict(self) -> dict[str, float]:
        """Plain data for `results.json`, without the curves."""
        return {
            "seconds": self.seconds,
            "trainable_parameters": self.trainable_parameters,
            "samples_per_second": self.samples_per_second,
            "data_wait_share": self.data_wait_share,
        }

    def cost(self, device: torch.device) -> str:
        """What it took, in words."""
        return f"{self.seconds:,.0f} s of training on {device}, {self.trainable_parameters:,} trainable parameters"

    def __str__(self) -> str:
        speed = f"{self.samples_per_second:.1f} samples/s"
        return f"{self.seconds:.0f} s: {speed}, {100 * self.data_wait_share:.1f} % of it waiting for data"


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


def _curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    names = {"train/loss_epoch": "training loss", "val/miou": "validation mIoU"}
    rows = read_metrics(folder)
    return {
        title: [(row["epoch"] + 1, row[key]) for row in rows if row.get(key) is not None]
        for key, title in names.items()
    }
