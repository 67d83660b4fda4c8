"""Figures as people read them, and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from adapt.metrics import THRESHOLDS, EdgeScores, Interval, Matches, mean_average_precision
from adapt.score.figures import ClassFigures, Figures
from adapt.score.scenes import OBJECT
from adapt.wording import counted

ALL = "all"
SHOWN = (0.5, 0.75, 0.9)
"""Thresholds of the table; JSON has all."""
FEW_GROUPS = 10
"""With fewer, a bootstrap interval is rough."""


def print_figures(figures: Figures, console: Console) -> None:
    """Print the tables of what there is."""
    rows = [(ALL, figures.whole), *figures.classes.items()] if _several(figures) else [(ALL, figures.whole)]
    table = _table("Matching AP: TP / (TP + FP + FN), mean over IoU 0.5 to 0.95", _caption(figures))
    for name in ("class", "images", "AP", "95 % interval", "pooled", "PQ", "SQ", "RQ"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, found in rows:
        quality = found.panoptic
        cells = [None, None, None] if quality is None else [quality.pq, quality.sq, quality.rq]
        pooled = mean_average_precision(found.pooled)
        table.add_row(name, f"{found.images:,}", _text(found.ap), _span(found.interval), *map(_text, [pooled, *cells]))
    console.print(table)
    _print_dice(rows, console)
    _print_thresholds(figures.whole.pooled, console)
    _print_coco(figures, console)
    if not figures.disjoint:
        console.print("objects cover one another, for which panoptic quality (PQ) is not defined", highlight=False)


def _several(figures: Figures) -> bool:
    return list(figures.classes) not in ([], [OBJECT])


def _print_dice(rows: Sequence[tuple[str, ClassFigures]], console: Console) -> None:
    if rows[0][1].dice is None:
        return
    table = _table("Dice: 2 TP / (2 TP + FP + FN) of pixels")
    for name in ("class", "images", "Dice", "95 % interval"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, found in rows:
        table.add_row(name, f"{found.images:,}", _text(found.dice), _span(found.dice_interval))
    console.print(table)


def _print_thresholds(pooled: Sequence[Matches], console: Console) -> None:
    table = _table("All objects pooled, by the IoU that counts as found")
    for name in ("IoU", "AP", "precision", "recall", "F1", "TP", "FP", "FN"):
        table.add_column(name, justify="right")
    for threshold, found in zip(THRESHOLDS, pooled, strict=True):
        if threshold in SHOWN:
            counts = (found.true_positives, found.false_positives, found.false_negatives)
            rates = (found.average_precision, found.precision, found.recall, found.f1)
            table.add_row(f"{threshold}", *map(_text, rates), *(f"{count:,}" for count in counts))
    console.print(table)


def _print_coco(figures: Figures, console: Console) -> None:
    found, recall = figures.coco, figures.recall
    if found is None or recall is None:
        return
    table = _table("COCO: scored masks, mean over IoU 0.5 to 0.95")
    for name in ("", "all", *found.sizes, "at IoU 0.5", "at IoU 0.75"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("AP", *map(_text, [found.ap, *found.sizes.values(), found.ap50, found.ap75]))
    for count, values in recall.items():
        table.add_row(f"AR@{count}", *map(_text, values.values()))
    console.print(table)


def print_edges(found: EdgeScores | None, console: Console) -> None:
    """Print how well borders lie where those of the truth do."""
    if found is None:
        console.print("edges: the truth has none", highlight=False)
        return
    table = _table("Edges: outer borders of masks, by their scores")
    for name in ("ODS", "OIS", "AP", "R50"):
        table.add_column(name, justify="right")
    table.add_row(*map(_text, (found.ods, found.ois, found.ap, found.r50)))
    console.print(table)


def _table(title: str, caption: str = "") -> Table:
    return Table(title=title, caption=caption or None, caption_justify="left", title_justify="left")


def _caption(figures: Figures) -> str:
    text = f"{counted(len(figures.images), 'image')} of {counted(figures.groups, 'group')}"
    empty = len(figures.images) - figures.whole.images
    if empty:
        text += f"; {empty:,} without an object or a prediction, which no mean counts"
    if figures.groups == 1:
        text += "; an interval needs at least 2 groups"
    elif figures.groups < FEW_GROUPS:
        text += f"; with fewer than {FEW_GROUPS} groups an interval is rough"
    return text


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _span(interval: Interval) -> str:
    return "-" if interval.low is None or interval.high is None else f"{interval.low:.3f} to {interval.high:.3f}"


def as_json(figures: Figures) -> dict[str, Any]:
    """All figures, of every image and at every threshold; what there is nothing to say of is null."""
    return {
        "images": len(figures.images),
        "groups": figures.groups,
        "thresholds": list(THRESHOLDS),
        **_class_json(figures.whole),
        "classes": {name: _class_json(found) for name, found in figures.classes.items()},
        "coco": None if figures.coco is None else asdict(figures.coco),
        "average_recall": None if figures.recall is None else _keys_as_text(figures.recall),
        "by_image": [asdict(image) for image in figures.images],
    }


def _class_json(found: ClassFigures) -> dict[str, Any]:
    return {
        "matching_ap": found.ap,
        "matching_ap_interval": asdict(found.interval),
        "pooled_ap": mean_average_precision(found.pooled),
        "pooled": [
            {
                "average_precision": entry.average_precision,
                "precision": entry.precision,
                "recall": entry.recall,
                "f1": entry.f1,
                "true_positives": entry.true_positives,
                "false_positives": entry.false_positives,
                "false_negatives": entry.false_negatives,
            }
            for entry in found.pooled
        ],
        "panoptic": None if found.panoptic is None else asdict(found.panoptic),
        "dice": found.dice,
        "dice_interval": asdict(found.dice_interval),
        "images_scored": found.images,
    }


def _keys_as_text(recall: Mapping[int, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    return {str(count): dict(values) for count, values in recall.items()}
