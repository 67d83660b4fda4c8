"""The result as people read it: a table in the terminal, CSV and JSON beside it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapt.csv_text import csv_text
from adapt.evaluate.semantic.figures import SemanticResults, named_figures
from adapt.evaluate.semantic.scoring import ClassScore
from adapt.evaluate.tables import FEW_GROUPS, interval_text
from adapt.files import write_text
from adapt.metrics import class_ious
from adapt.recipe.semantic import BACKGROUND
from adapt.wording import counted

HEADER = ["class", "IoU", "95 % interval", "Dice", "groups"]
NO_FIGURE = "none"


def class_rows(results: SemanticResults) -> list[list[str]]:
    """Cells of the table, see `HEADER`: the mean of the classes, each class, the background."""
    return [
        [name, _cell(own.iou), interval_text(own.low, own.high), _cell(own.dice), str(own.groups)]
        for name, own in named_figures(results).items()
    ]


def _cell(value: float | None) -> str:
    return NO_FIGURE if value is None else f"{value:.3f}"


def caption(results: SemanticResults) -> str:
    """What the figures were measured on, and how far the intervals can be trusted."""
    groups = len(results.groups)
    text = f"test split: {counted(results.images, 'image')} of {counted(groups, 'group')}"
    if groups == 1:
        return f"{text}; an interval needs at least 2 groups"
    few = f"; with fewer than {FEW_GROUPS} groups an interval is rough, and rather too narrow"
    return text + (few if groups < FEW_GROUPS else "")


def warnings(results: SemanticResults) -> list[str]:
    """What a reader should not overlook: classes that were never found, or never asked for."""
    found = []
    for name, own in results.classes.items():
        if own.iou is None:
            found.append(f"{name}: the test split does not show it, so nothing is known of it")
        elif own.iou == 0:
            found.append(f"{name}: not a pixel of it was found; train longer, or with another rate")
    return found


def print_classes(results: SemanticResults, console: Console) -> None:
    """Print the table."""
    table = Table(title="Label maps: IoU of classes", caption=caption(results), caption_justify="left")
    for index, name in enumerate(HEADER):
        table.add_column(name, justify="right" if index else "left")
    rows = class_rows(results)
    for index, row in enumerate(rows):
        table.add_row(*map(escape, row), end_section=index in (0, len(rows) - 2))
    console.print(table)
    for text in warnings(results):
        console.print(f"[yellow]notice:[/] {escape(text)}", highlight=False)


def write_classes(
    results: SemanticResults, scores: Sequence[ClassScore], folder: Path, *, facts: dict[str, object]
) -> None:
    """Write `results.json`, `results.csv` (one row a class) and `images.csv` (one row an image and class).

    Args:
        results: the figures.
        scores: of every image.
        folder: of the run.
        facts: added to `results.json`: recipe, checkpoint, versions.
    """
    write_text(folder / "results.json", json.dumps({**results.as_dict(), **facts}, indent=2) + "\n")
    figures = [{"class": name, **asdict(own)} for name, own in named_figures(results).items()]
    write_text(folder / "results.csv", csv_text(["class", "iou", "dice", "low", "high", "groups"], figures))
    names = [BACKGROUND, *results.classes]
    rows: list[dict[str, object]] = [
        {
            "sample_id": score.sample_id,
            "group": score.group,
            "class": name,
            **dict(zip(("shared", "answered", "truth"), counts.tolist(), strict=True)),
            "iou": "" if counts[1:].sum() == 0 else iou,
        }
        for score in scores
        for name, counts, iou in zip(names, score.counts, class_ious(score.counts), strict=True)
    ]
    write_text(
        folder / "images.csv", csv_text(["sample_id", "group", "class", "shared", "answered", "truth", "iou"], rows)
    )
