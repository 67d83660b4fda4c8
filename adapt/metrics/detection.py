"""COCO's mask AP and AR of scored masks: its own evaluation (pycocotools), kept quiet.

AP is the area under the curve of precision over recall (101 points), averaged over IoUs from 0.5 to 0.95 and over
categories (Lin et al., 2014). AR is the recall of an image's highest scored masks, averaged over the same IoUs and, as
proposals have no category, over all objects alike (as in section 7.3 of Segment Anything).

The score of a mask orders it among the others of its category: the segmenter's expected IoU, or that of the detector
whose box prompted it. Objects are small, medium or large by the pixels of their mask. A figure is None where the truth
has no such object.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

COCO_SIZES: Mapping[str, tuple[float, float]] = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, float("inf")),
}
"""Least and greatest area, pixels; COCO counts an object of just a limit on both sides."""
EVERY = (0.0, float("inf"))
DETECTIONS = 100
"""Masks of an image and category that AP looks at, those of the highest scores."""
PROPOSALS = (10, 100, 1000)


@dataclass(frozen=True, eq=False)
class TrueMasks:
    """The objects of one image.

    Attributes:
        height, width: of the image, pixels.
        masks: compressed run-length counts of COCO.
        categories: one a mask.
        crowds: one a mask: it stands for many objects, and predictions on it are neither right nor wrong. Empty: none.
    """

    height: int
    width: int
    masks: Sequence[bytes]
    categories: Sequence[str]
    crowds: Sequence[bool] = ()


@dataclass(frozen=True, eq=False)
class PredictedMasks:
    """What was found in one image.

    Attributes:
        masks: compressed run-length counts of COCO.
        categories: one a mask.
        scores: one a mask; only their order counts.
    """

    masks: Sequence[bytes]
    categories: Sequence[str]
    scores: Sequence[float]


@dataclass(frozen=True)
class MaskAp:
    """Each 0 to 1, or None if no true object is concerned.

    Attributes:
        ap: mean over IoUs from 0.5 to 0.95 and over categories.
        ap50, ap75: at one IoU.
        sizes: AP of each size.
        categories: AP of each category.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    sizes: Mapping[str, float | None]
    categories: Mapping[str, float | None]


def mask_ap(
    predicted: Sequence[PredictedMasks],
    truth: Sequence[TrueMasks],
    *,
    sizes: Mapping[str, tuple[float, float]] = COCO_SIZES,
    detections: int = DETECTIONS,
) -> MaskAp:
    """COCO's AP of scored masks. Categories that no true object has are not counted.

    Args:
        predicted: of each image.
        truth: of the same images.
        sizes: least and greatest area of each size, pixels.
        detections: masks of an image and category that count, those of the highest scores.
    """
    named = [entry.categories for entry in truth] + [entry.categories for entry in predicted]
    categories = sorted({name for names in named for name in names})
    found = _evaluated(predicted, truth, categories, sizes=sizes, counts=[detections])
    precision = found.eval["precision"][..., 0]  # (IoU, recall, category, size)
    at = {round(float(iou), 2): index for index, iou in enumerate(found.params.iouThrs)}
    return MaskAp(
        ap=_mean(precision[..., 0]),
        ap50=_mean(precision[at[0.5], ..., 0]),
        ap75=_mean(precision[at[0.75], ..., 0]),
        sizes={name: _mean(precision[..., place]) for place, name in enumerate(sizes, start=1)},
        categories={name: _mean(precision[:, :, place, 0]) for place, name in enumerate(categories)},
    )


def average_recall(
    predicted: Sequence[PredictedMasks],
    truth: Sequence[TrueMasks],
    *,
    sizes: Mapping[str, tuple[float, float]] = COCO_SIZES,
    proposals: Sequence[int] = PROPOSALS,
) -> dict[int, dict[str, float | None]]:
    """AR of proposals, whatever their category: number of proposals to `all` and each size to the recall.

    Args:
        predicted: of each image.
        truth: of the same images.
        sizes: least and greatest area of each size, pixels.
        proposals: masks of an image that count, those of the highest scores.
    """
    found = _evaluated(predicted, truth, None, sizes=sizes, counts=sorted(proposals))
    recall = found.eval["recall"]  # (IoU, category, size, count)
    return {
        count: {name: _mean(recall[:, :, size, place]) for size, name in enumerate(("all", *sizes))}
        for place, count in enumerate(sorted(proposals))
    }


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    """Of what COCO could tell; it writes -1 where there is no true object."""
    told = values[values > -1]
    return float(told.mean()) if told.size else None


def _evaluated(
    predicted: Sequence[PredictedMasks],
    truth: Sequence[TrueMasks],
    categories: Sequence[str] | None,
    *,
    sizes: Mapping[str, tuple[float, float]],
    counts: Sequence[int],
) -> COCOeval:
    """COCO's evaluation, accumulated; without categories, all objects count as one."""
    numbers = {name: number for number, name in enumerate(categories or ())}
    # Numbers of masks begin with 1: COCO takes 0 for no match.
    true_rows: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    for image, (found, true) in enumerate(zip(predicted, truth, strict=True)):
        size = [true.height, true.width]
        for mask, category, crowd in zip(
            true.masks, true.categories, true.crowds or [False] * len(true.masks), strict=True
        ):
            true_rows.append({**_row(mask, size), "image_id": image, "iscrowd": int(crowd)})
            true_rows[-1] |= {"id": len(true_rows), "category_id": numbers.get(category, 0)}
        for mask, category, score in zip(found.masks, found.categories, found.scores, strict=True):
            rows.append({**_row(mask, size), "image_id": image, "iscrowd": 0, "score": float(score)})
            rows[-1] |= {"id": len(rows), "category_id": numbers.get(category, 0)}
    images = [{"id": number, "height": t.height, "width": t.width} for number, t in enumerate(truth)]
    names = [{"id": number, "name": name} for name, number in numbers.items()] or [{"id": 0, "name": "object"}]
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(*(_indexed(images, own, names) for own in (true_rows, rows)), "segm")
        evaluation.params.maxDets = list(counts)
        evaluation.params.areaRng = [list(EVERY), *(list(limits) for limits in sizes.values())]
        evaluation.params.areaRngLbl = ["all", *sizes]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def _row(mask: bytes, size: list[int]) -> dict[str, object]:
    rle = {"size": size, "counts": mask}
    return {"segmentation": rle, "area": float(coco.area(rle)), "bbox": coco.toBbox(rle).tolist()}


def _indexed(images: object, annotations: object, categories: object) -> COCO:
    dataset = COCO()
    dataset.dataset = {"images": images, "annotations": annotations, "categories": categories}
    dataset.createIndex()
    return dataset
