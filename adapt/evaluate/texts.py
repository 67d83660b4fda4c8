"""Masks that a text has found against the truth, beside those of the true boxes: how many, how well, in what order.

An object is found if a mask of its category has an IoU with it above 0.5; each mask finds one object. The region of a
category is what all of its objects cover, and what all of its masks do: it can be told where one mask answers for many
objects.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from pycocotools import mask as coco
from rich.console import Console
from rich.table import Table

from adapt.files import write_text
from adapt.metrics import Matches, PredictedMasks, TrueMasks, mask_ap, mask_overlaps, panoptic_matches

Answered = Mapping[tuple[str, str], Sequence[PredictedMasks]]
"""From the name of a model, and of what it was prompted by, to the masks of each image."""
TEXT_HEADER = ("model", "asked by", "masks", "stray", "found", "IoU", "regions", "AP", "AP50")


@dataclass(frozen=True)
class TextFigures:
    """Of one model, prompted in one way; each figure but `masks` and `stray` 0 to 1.

    Attributes:
        model: its name.
        prompts: text, or box: those of the truth.
        masks: of an image, on average.
        stray: of them, those of a category that the image does not show.
        found: share of the objects that are found.
        matched_iou: mean IoU of those; None if none is.
        region_iou: mean IoU of regions, over images and categories.
        ap, ap50: COCO's of the masks by their scores, over IoUs from 0.5 to 0.95, and at 0.5.
    """

    model: str
    prompts: str
    masks: float
    stray: float
    found: float
    matched_iou: float | None
    region_iou: float
    ap: float | None
    ap50: float | None


def text_figures(answered: Answered, truth: Sequence[TrueMasks]) -> list[TextFigures]:
    """Figures of each model and kind of prompt.

    Args:
        answered: of the images of `truth`.
        truth: one image at least, with one object at least.
    """
    found = []
    for (model, prompts), predicted in answered.items():
        matches, regions = Matches(), []
        for ours, true in zip(predicted, truth, strict=True):
            for category in sorted(set(true.categories)):
                own = [of_category(masks, category) for masks in (ours, true)]
                matches += panoptic_matches(mask_overlaps(*own, height=true.height, width=true.width))
                regions.append(_region_iou(*own, size=[true.height, true.width]))
        ap = mask_ap(predicted, truth)
        hits = matches.true_positives
        found.append(
            TextFigures(
                model=model,
                prompts=prompts,
                masks=float(np.mean([len(one.masks) for one in predicted])),
                stray=float(np.mean([_stray(ours, true) for ours, true in zip(predicted, truth, strict=True)])),
                found=matches.recall or 0.0,
                matched_iou=matches.matched_iou / hits if hits else None,
                region_iou=float(np.mean(regions)),
                ap=ap.ap,
                ap50=ap.ap50,
            )
        )
    return found


def of_category(masks: PredictedMasks | TrueMasks, category: str) -> list[bytes]:
    """The masks of one category."""
    return [mask for mask, own in zip(masks.masks, masks.categories, strict=True) if own == category]


def _stray(ours: PredictedMasks, true: TrueMasks) -> int:
    """How many masks are of a category that the image does not show."""
    return sum(category not in set(true.categories) for category in ours.categories)


def _region_iou(ours: Sequence[bytes], true: Sequence[bytes], *, size: list[int]) -> float:
    if not ours:
        return 0.0
    regions = [coco.merge([{"size": size, "counts": mask} for mask in masks]) for masks in (ours, true)]
    return float(coco.iou(regions[:1], regions[1:], [0])[0, 0])


def print_text_figures(figures: Sequence[TextFigures], console: Console) -> None:
    """A row a model and kind of prompt."""
    model, prompts, *numbers = TEXT_HEADER
    table = Table(model, prompts, title="Masks of a text, and of the true boxes")
    for name in numbers:
        table.add_column(name, justify="right")
    for row in text_rows(figures):
        table.add_row(*row)
    console.print(table)


def text_rows(figures: Sequence[TextFigures]) -> list[list[str]]:
    """The cells below `TEXT_HEADER`."""
    rows = []
    for one in figures:
        values = (one.found, one.matched_iou, one.region_iou, one.ap, one.ap50)
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        rows.append([one.model, one.prompts, f"{one.masks:.1f}", f"{one.stray:.1f}", *cells])
    return rows


def write_text_figures(path: Path, figures: Sequence[TextFigures]) -> None:
    """A CSV file with the same rows."""
    memory = io.StringIO(newline="")
    writer = csv.DictWriter(memory, [field.name for field in fields(TextFigures)])
    writer.writeheader()
    writer.writerows(asdict(one) for one in figures)
    write_text(path, memory.getvalue())
