"""How much the objects of a prediction and those of the truth overlap: the IoU of every pair that shares a pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco
from scipy.sparse import coo_array, csr_array

Labels = npt.NDArray[np.integer]
CHUNK = 2**22
"""Pixels that are looked at together: a whole slide is counted in the memory of a part of it."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Of one image or volume.

    Attributes:
        predicted: how many objects are predicted.
        truth: how many there are.
        pairs: (K, 2) int64, places of the predicted and the true object of each pair that shares a pixel.
        ious: (K,) float64, above 0.
    """

    predicted: int
    truth: int
    pairs: npt.NDArray[np.int64]
    ious: npt.NDArray[np.float64]


def label_map_overlaps(predicted: Labels, truth: Labels) -> Overlaps:
    """Overlaps of two label maps, by one count over their pixels, however many objects and pixels there are.

    Objects are numbered by ascending value.

    Args:
        predicted: label values from 0, background; of any dimensions.
        truth: likewise.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"label maps of different shapes: {predicted.shape} predicted, {truth.shape} true")
    flat = predicted.reshape(-1), truth.reshape(-1)
    (values, predicted_areas), (true_values, true_areas) = (_areas(labels) for labels in flat)
    table = csr_array((len(values), len(true_values)), dtype=np.int64)
    for start in range(0, predicted.size, CHUNK):
        ours, theirs = (labels[start : start + CHUNK] for labels in flat)
        both = (ours > 0) & (theirs > 0)
        ends = (_places(ours[both], values), _places(theirs[both], true_values))
        table += coo_array((np.ones(len(ends[0]), dtype=np.int64), ends), shape=table.shape).tocsr()
    table.sort_indices()
    found = table.tocoo()
    pairs, shared = np.stack(found.coords, axis=1).astype(np.int64), found.data
    union = predicted_areas[pairs[:, 0]] + true_areas[pairs[:, 1]] - shared
    return Overlaps(predicted=len(predicted_areas), truth=len(true_areas), pairs=pairs, ious=shared / union)


def mask_overlaps(predicted: Sequence[bytes], truth: Sequence[bytes], *, height: int, width: int) -> Overlaps:
    """Overlaps of masks that may cover one another, by their run lengths.

    Args:
        predicted: N masks as compressed run-length counts of COCO.
        truth: M masks likewise.
        height: of the image.
        width: of the image.
    """
    if not predicted or not truth:
        return Overlaps(len(predicted), len(truth), np.empty((0, 2), np.int64), np.empty(0))
    ours, theirs = ([{"size": [height, width], "counts": mask} for mask in masks] for masks in (predicted, truth))
    table = np.asarray(coco.iou(ours, theirs, [0] * len(theirs)), dtype=np.float64)
    pairs = np.argwhere(table > 0)
    return Overlaps(len(predicted), len(truth), pairs, table[pairs[:, 0], pairs[:, 1]])


def _areas(flat: Labels) -> tuple[Labels, npt.NDArray[np.int64]]:
    """The values above 0 that occur in a flat label map, ascending, and how often each does."""
    greatest = int(flat.max(initial=0))
    if greatest > max(flat.size, CHUNK):  # a table of all values would be larger than the map
        values, areas = np.unique(flat, return_counts=True)
        return values[values > 0], areas[values > 0]
    counts = np.zeros(greatest + 1, dtype=np.int64)
    for start in range(0, flat.size, CHUNK):
        counts += np.bincount(flat[start : start + CHUNK].astype(np.int64), minlength=len(counts))
    counts[0] = 0
    values = np.flatnonzero(counts)
    return values, counts[values]


def _places(labels: Labels, values: Labels) -> npt.NDArray[np.int64]:
    """The place of each label among ascending values that hold it."""
    if not len(values) or int(values[-1]) > CHUNK:
        return np.searchsorted(values, labels).astype(np.int64)
    table = np.zeros(int(values[-1]) + 1, dtype=np.int64)
    table[values] = np.arange(len(values))
    return np.asarray(table[labels.astype(np.int64)])
