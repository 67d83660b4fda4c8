"""Overlap of masks in the image frame."""

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.integer]


def iou(predicted: Masks, truth: Masks) -> npt.NDArray[np.float64]:
    """Intersection over union of (..., H, W) masks, as (...); two empty masks agree: 1."""
    return iou_of_counts(*_counts(predicted, truth))


def dice(predicted: Masks, truth: Masks) -> npt.NDArray[np.float64]:
    """2 * intersection / (sum of areas) of (..., H, W) masks, as (...); two empty masks agree: 1."""
    return dice_of_counts(*_counts(predicted, truth))


def iou_of_counts(shared: Counts, predicted: Counts, truth: Counts) -> npt.NDArray[np.float64]:
    """IoU from numbers of pixels: in both masks, in the prediction, in the truth."""
    union = predicted + truth - shared
    return np.asarray(np.where(union > 0, shared / np.maximum(union, 1), 1.0))


def dice_of_counts(shared: Counts, predicted: Counts, truth: Counts) -> npt.NDArray[np.float64]:
    """Dice from numbers of pixels: in both masks, in the prediction, in the truth."""
    areas = predicted + truth
    return np.asarray(np.where(areas > 0, 2 * shared / np.maximum(areas, 1), 1.0))


def _counts(predicted: Masks, truth: Masks) -> tuple[Counts, Counts, Counts]:
    shared = np.count_nonzero(predicted & truth, axis=(-2, -1))
    areas = (np.count_nonzero(masks, axis=(-2, -1)) for masks in (predicted, truth))
    return np.asarray(shared), *(np.asarray(area) for area in areas)  # type: ignore[return-value]
