"""Metrics of a run as files: `metrics.jsonl`, a line as it happens, and `metrics.csv`, a row an epoch at the end."""

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from adapt.csv_text import csv_text
from adapt.files import write_text

JSONL, CSV = "metrics.jsonl", "metrics.csv"


class MetricsFiles(Logger):
    """A Lightning logger whose lines survive a killed run: each is flushed when it is written."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "files"

    @property
    def version(self) -> str:
        """There is one a run."""
        return ""

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: object, **kwargs: object
    ) -> None:  # Lightning's
        """Nothing: the resolved recipe lies beside."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one line."""
        with (self._folder / JSONL).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **{name: _number(value) for name, value in metrics.items()}}) + "\n")

    def finalize(self, status: str) -> None:
        """Write the table; Lightning calls this at the end, and after an error as well."""
        rows = epoch_rows(read_metrics(self._folder))
        columns = ["epoch", *sorted({name for row in rows for name in row} - {"epoch"})]
        write_text(self._folder / CSV, csv_text(columns, rows))


def epoch_rows(lines: list[dict[str, float]]) -> list[dict[str, float]]:
    """One row an epoch, counted from 1: validation scores, and the epoch's means of what is logged each step."""
    epochs: dict[int, dict[str, float]] = {}
    for line in lines:
        row = epochs.setdefault(int(line["epoch"]) + 1, {"epoch": int(line["epoch"]) + 1})
        row |= {name.removesuffix("_epoch"): value for name, value in line.items() if name.endswith("_epoch")}
        row |= {name: value for name, value in line.items() if name.startswith("val/")}
    return list(epochs.values())


def drop_lines_after(path: Path, *, steps: int, epochs: int) -> None:
    """Cut a file of lines to those that were logged before a checkpoint; what came after it comes again.

    Args:
        path: of lines in JSON, each with `step` and `epoch`; may be missing.
        steps: that were done.
        epochs: that were done, validation included.
    """
    if path.is_file():
        kept = [line for line in read_lines(path) if not _comes_again(line, steps=steps, epochs=epochs)]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def _comes_again(line: dict[str, float], *, steps: int, epochs: int) -> bool:
    of_epoch = any(name.startswith("val/") or name.endswith("_epoch") for name in line)
    return line["step"] >= steps or (of_epoch and line["epoch"] >= epochs)


def _number(value: float) -> float | None:
    """A value as JSON can hold it: NaN and infinity are null."""
    return float(value) if math.isfinite(value) else None


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of `metrics.jsonl`; none if there is no file."""
    path = folder / JSONL
    return read_lines(path) if path.is_file() else []


def read_lines(path: Path) -> list[dict[str, float]]:
    """The lines of a file of JSON lines, whole ones only."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # the last line of a killed run
            continue
    return rows
