"""Overlap of masks in the image frame."""

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]


def iou(predicted: Masks, truth: Masks) -> npt.NDArray[np.float64]:
    """Intersection over union of (..., H, W) masks, as (...); two empty masks agree: 1."""
    intersection = np.count_nonzero(predicted & truth, axis=(-2, -1))
    union = np.count_nonzero(predicted | truth, axis=(-2, -1))
    return np.asarray(np.where(union > 0, intersection / np.maximum(union, 1), 1.0))


def dice(predicted: Masks, truth: Masks) -> npt.NDArray[np.float64]:
    """2 * intersection / (sum of areas) of (..., H, W) masks, as (...); two empty masks agree: 1."""
    intersection = np.count_nonzero(predicted & truth, axis=(-2, -1))
    areas = np.count_nonzero(predicted, axis=(-2, -1)) + np.count_nonzero(truth, axis=(-2, -1))
    return np.asarray(np.where(areas > 0, 2 * intersection / np.maximum(areas, 1), 1.0))


def box_masks(masks: Masks) -> Masks:
    """The tight box of each (N, H, W) mask, filled: what a box prompt alone is worth as a mask."""
    rows, columns = np.asarray(masks.any(axis=2)), np.asarray(masks.any(axis=1))
    between_rows = np.logical_or.accumulate(rows, 1) & np.logical_or.accumulate(rows[:, ::-1], 1)[:, ::-1]
    between_columns = np.logical_or.accumulate(columns, 1) & np.logical_or.accumulate(columns[:, ::-1], 1)[:, ::-1]
    return np.asarray(between_rows[:, :, None] & between_columns[:, None, :])
