"""Which of the masks that were drawn a stage keeps, and what is written of each."""

from dataclasses import replace

import numpy as np

from adapt.engine import Provenance
from adapt.formats import encode_masks
from adapt.formats.review import ReviewImage, ReviewObject
from adapt.generate import GeneratedMask, label_map
from adapt.labelling.drawing import Drawing
from adapt.recipe import CocoData, DataSettings, FolderData, GenerateSettings, LabelSettings, YoloData


def may_overlap(data: DataSettings) -> bool:
    """Whether labels of this kind give each object a mask of its own; in a label map, a pixel has one owner."""
    return isinstance(data, CocoData | YoloData) or (isinstance(data, FolderData) and data.label_kind == "masks")


def is_confident(mask: GeneratedMask, settings: LabelSettings) -> bool:
    """Whether a mask is kept without a look."""
    return mask.predicted_iou >= settings.predicted_iou and mask.stability >= settings.stability


def kept_masks(
    drawing: Drawing,
    name: str,
    size: tuple[int, int],
    *,
    made_by: Provenance,
    label: str,
    overlaps: bool,
    settings: LabelSettings,
    generate: GenerateSettings,
) -> ReviewImage:
    """A picture with the masks that a stage keeps, each with its provenance.

    Args:
        drawing: of the picture.
        name: of its file.
        size: its height and width.
        made_by: stage and model; the scores are filled in. The assisted stage keeps all, since people look at them,
            the others what is confident and stable.
        label: of masks whose prompt has none.
        overlaps: masks may cover one another; if not, each pixel gets one owner, as `generate` says.
        settings: thresholds.
        generate: how a label map is made.
    """
    chosen = [
        (mask, category)
        for mask, category in zip(drawing.masks, drawing.categories, strict=True)
        if made_by.stage == "assisted" or is_confident(mask, settings)
    ]
    counts = [mask.rle["counts"] for mask, _ in chosen]
    if not overlaps:
        labels = label_map(
            [mask for mask, _ in chosen], size, first=generate.overlap, least_visible=generate.least_visible
        )
        visible = [np.equal(labels, number) for number in range(1, len(chosen) + 1)]
        counts = [encode_masks(mask[None])[0] if mask.any() else b"" for mask in visible]
    objects = tuple(
        ReviewObject(
            identity=str(number),
            label=category or label,
            mask=mask_counts,
            attributes=replace(made_by, predicted_iou=mask.predicted_iou, stability=mask.stability).as_attributes(),
        )
        for number, ((mask, category), mask_counts) in enumerate(zip(chosen, counts, strict=True), start=1)
        if mask_counts
    )
    return ReviewImage(name, *size, objects)


def advice(
    best_predicted_iou: float, best_stability: float, generate: GenerateSettings, settings: LabelSettings
) -> str:
    """Which threshold keeps masks away, and how far the best ones are from it."""
    thresholds = (
        ("generate.predicted_iou", generate.predicted_iou, best_predicted_iou, "predicted IoU"),
        ("generate.stability", generate.stability, best_stability, "stability"),
        ("label.predicted_iou", settings.predicted_iou, best_predicted_iou, "predicted IoU"),
        ("label.stability", settings.stability, best_stability, "stability"),
    )
    for key, least, best, what in thresholds:
        if best < least:
            return f"the best {what} is {best:.2f}, lower {key} ({least:g})"
    return "no mask has both a high predicted IoU and a high stability; lower the thresholds of generate or label"
