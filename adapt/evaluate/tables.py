"""The result as people read it: a table in the terminal, CSV and JSON beside it."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapt.evaluate.results import ModelFigures, Results
from adapt.evaluate.scoring import ObjectScore
from adapt.files import write_text

TITLES = {"one_click": "one click", "box": "box"}
MODELS = {"base": "untouched", "tuned": "tuned"}


def interval_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`0.612 to 0.702`, or why there is none."""
    if low is None or high is None:
        return "none"
    return f"{low:+.3f} to {high:+.3f}" if signed else f"{low:.3f} to {high:.3f}"


def table_rows(results: Results) -> list[list[str]]:
    """Cells of the table: prompt, model, mIoU, 95 % interval, oracle mIoU, Dice."""
    rows: list[list[str]] = []
    for name, figures in results.protocols.items():
        title = TITLES[name]
        if name == "box":
            rows.append([title, "the box itself", f"{figures.box_as_mask:.3f}", "", "", ""])
        for key in ("base", "tuned"):
            model: ModelFigures | None = getattr(figures, key)
            if model is not None:
                cells = [f"{model.miou:.3f}", interval_text(model.low, model.high)]
                rows.append([title, MODELS[key], *cells, f"{model.oracle_miou:.3f}", f"{model.dice:.3f}"])
        if figures.difference is not None:
            gain = figures.difference
            interval = interval_text(gain.low, gain.high, signed=True)
            rows.append([title, "difference", f"{gain.miou:+.3f}", interval, "", ""])
    return rows


HEADER = ["prompt", "model", "mIoU", "95 % interval", "oracle mIoU", "Dice"]


FEW_GROUPS = 10


def caption(results: Results) -> str:
    """What the figures were measured on, and how far the intervals can be trusted."""
    counts = ((results.objects, "object"), (results.images, "image"), (results.groups, "group"))
    objects, images, groups = (f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    text = f"test split: {objects} in {images} of {groups}"
    if results.groups == 1:
        text += "; an interval needs at least 2 groups"
    elif results.groups < FEW_GROUPS:
        text += f"; with fewer than {FEW_GROUPS} groups an interval is rough, and rather too narrow"
    return text


def warnings(results: Results) -> list[str]:
    """What a reader should not overlook: tuning that did harm, and answers that are worth less than their box."""
    found = []
    for name, figures in results.protocols.items():
        if figures.tuned is not None and figures.tuned.miou < figures.base.miou:
            found.append(
                f"{TITLES[name]}: the tuned model is worse than the untouched one; train longer, or with another rate"
            )
        best = figures.tuned or figures.base
        if name == "box" and best.miou < figures.box_as_mask:
            found.append(
                f"box: the answers ({best.miou:.3f}) are worth less than the box itself ({figures.box_as_mask:.3f})"
            )
    return found


def print_table(results: Results, console: Console) -> None:
    """Print the table of domain mIoU and Dice."""
    table = Table(title="Domain mIoU", caption=caption(results), caption_justify="left")
    for index, name in enumerate(HEADER):
        table.add_column(name, justify="left" if index < 2 else "right")
    for row in table_rows(results):
        table.add_row(*row, end_section=row[1] == "difference")
    console.print(table)
    for text in warnings(results):
        console.print(f"[yellow]notice:[/] {text}", highlight=False)


def write_tables(results: Results, scores: Sequence[ObjectScore], folder: Path, *, facts: dict[str, object]) -> None:
    """Write `results.json`, `results.csv` (one row a protocol and model) and `objects.csv` (one row an object).

    Args:
        results: the figures.
        scores: of every object.
        folder: of the run.
        facts: added to `results.json`: recipe, checkpoint, versions.
    """
    write_text(folder / "results.json", json.dumps({**results.as_dict(), **facts}, indent=2) + "\n")
    rows = [
        [name, key, model.miou, model.low, model.high, model.oracle_miou, model.dice]
        for name, figures in results.protocols.items()
        for key, model in (("base", figures.base), ("tuned", figures.tuned))
        if model is not None
    ]
    rows += [
        [name, "difference", figures.difference.miou, figures.difference.low, figures.difference.high, None, None]
        for name, figures in results.protocols.items()
        if figures.difference is not None
    ]
    rows += [
        [name, "box_as_mask", figures.box_as_mask, *[None] * 4]
        for name, figures in results.protocols.items()
        if name == "box"
    ]
    write_text(
        folder / "results.csv", _csv([["protocol", "model", "miou", "low", "high", "oracle_miou", "dice"], *rows])
    )
    columns = ["model", "protocol", "sample_id", "index", "category", "group", "pixels", "iou", "oracle_iou", "dice"]
    columns += ["predicted_iou", "box_iou"]
    lines: list[list[object]] = [[getattr(score, column) for column in columns] for score in scores]
    write_text(folder / "objects.csv", _csv([list(columns), *lines]))


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
