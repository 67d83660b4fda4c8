"""What mixing the untouched and the tuned model costs and gains: domain against general mIoU, a row a mix."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapt.csv_text import csv_text
from adapt.evaluate.tables import TITLES
from adapt.files import write_text

JSON, CSV = "interpolation.json", "interpolation.csv"


@dataclass(frozen=True)
class Mix:
    """A mix of both models.

    Attributes:
        alpha: share of the tuned weights: 0 is the untouched model, 1 the tuned one.
        domain: protocol to mIoU on the test split.
        general: likewise on general images; None if there are none.
    """

    alpha: float
    domain: dict[str, float]
    general: dict[str, float] | None

    @property
    def domain_miou(self) -> float:
        """Mean over protocols."""
        return _mean(self.domain)

    @property
    def general_miou(self) -> float | None:
        """Mean over protocols."""
        return None if self.general is None else _mean(self.general)


def print_trade_off(mixes: Sequence[Mix], console: Console) -> None:
    """Print a row a mix."""
    prompts = ", ".join(TITLES[name] for name in mixes[0].domain)
    caption = f"alpha 0 is the untouched model, 1 the tuned one; mean over prompts: {prompts}"
    table = Table(title="Between the untouched and the tuned model", caption=caption, caption_justify="left")
    for name in ("alpha", "domain mIoU", "general mIoU"):
        table.add_column(name, justify="right")
    for mix in mixes:
        general = "" if mix.general_miou is None else f"{mix.general_miou:.3f}"
        table.add_row(f"{mix.alpha:g}", f"{mix.domain_miou:.3f}", general)
    console.print(table)


def write_trade_off(mixes: Sequence[Mix], folder: Path, *, facts: dict[str, object]) -> None:
    """Write `interpolation.json`, and `interpolation.csv` with a row a mix.

    Args:
        mixes: in the order of alpha.
        folder: of the evaluation.
        facts: added to the JSON.
    """
    rows: list[dict[str, object]] = [
        {"alpha": mix.alpha, "domain_miou": mix.domain_miou, "general_miou": mix.general_miou} for mix in mixes
    ]
    content = [{**row, "domain": mix.domain, "general": mix.general} for row, mix in zip(rows, mixes, strict=True)]
    write_text(folder / JSON, json.dumps({"mixes": content, **facts}, indent=2) + "\n")
    write_text(folder / CSV, csv_text(list(rows[0]), rows))


def _mean(mious: dict[str, float]) -> float:
    return sum(mious.values()) / len(mious)
