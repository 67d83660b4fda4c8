"""How far the border of a mask lies from the border of the truth, in physical units.

Normalised surface distance (Nikolov et al., 2021, "surface Dice") is the share of both borders that lies within a
tolerance of the other one. HD95 is the larger of the two 95th percentiles of the distances from one border to the
other (Taha and Hanbury, 2015). A border is the pixels of a mask that touch the background by a side; the edge of the
image counts as background.

A missed object, whose prediction is empty, has a surface distance of 0, and the diagonal of the image as its HD95: no
answer can be farther off. Two empty masks agree: 1, and 0. So every object counts, in every mean.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
PERCENTILE = 95
SOME = 16
"""Of so many pixels one is asked how far the nearest of them all can be."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class BoundaryScore:
    """Of one object.

    Attributes:
        nsd: normalised surface distance, 0 to 1.
        hd95: 95th percentile of the Hausdorff distance, in the unit of the spacing.
    """

    nsd: float
    hd95: float


def boundary_score(predicted: Mask, truth: Mask, *, spacing: tuple[float, ...], tolerance: float) -> BoundaryScore:
    """Score of the border of one mask.

    Args:
        predicted: (H, W) or (Z, H, W) bool.
        truth: likewise.
        spacing: size of a pixel along each axis.
        tolerance: distance that still counts as right, in the unit of the spacing.
    """
    if not predicted.any() and not truth.any():
        return BoundaryScore(nsd=1.0, hd95=0.0)
    if not predicted.any() or not truth.any():
        diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
        return BoundaryScore(nsd=0.0, hd95=diagonal)
    box = _bounding_box(predicted | truth)
    borders = [_pixels(_border(mask[box])) for mask in (predicted, truth)]
    scale = np.asarray(spacing)
    to_other = [
        _distances(border, other, scale, tolerance) for border, other in zip(borders, reversed(borders), strict=True)
    ]
    within = sum(np.count_nonzero(distances <= tolerance) for distances in to_other)
    return BoundaryScore(
        nsd=within / sum(len(distances) for distances in to_other),
        hd95=max(float(np.percentile(distances, PERCENTILE)) for distances in to_other),
    )


def _distances(points: Indices, others: Indices, scale: Floats, tolerance: float) -> Floats:
    """Distance of each of (D, N) pixels to the nearest of (D, M) others; less, where that decides nothing.

    Borders are few pixels, so a tree of the others takes a tenth of the time of a distance transform, and none of its
    memory. A pixel is looked up if it may lie within the tolerance, or if its distance may be one of the two that the
    percentile lies between. All else is surely beyond the tolerance, and surely on one side of these two: of an answer
    that is scattered over the image, that is most of it.
    """
    distances = _length(_outside(points, others), scale)  # to the box around the others: no distance is less
    most = _length(points - others[:, others.shape[1] // 2, None], scale)  # to one of them: no distance is more
    rank = (len(distances) - 1) * PERCENTILE // 100
    following = min(rank + 1, len(distances) - 1)
    decides = (most >= np.partition(distances, rank)[rank]) & (distances <= np.partition(most, following)[following])
    decides |= distances <= tolerance
    if decides.any():
        asked = points[:, decides]
        distances[decides] = _length(asked - _nearest(asked, others, scale), scale)
    return distances


def _nearest(points: Indices, others: Indices, scale: Floats) -> Indices:
    """(D, N): of (D, M) others the one nearest to each of (D, N) points.

    Some of the others tell how far the nearest is at most; the tree has those alone that lie within that of a point.
    """
    reach = _tree(others[:, ::SOME], scale).query((points * scale[:, None]).T)[0].max()
    others = others[:, _length(_outside(others, points), scale) <= reach * (1 + ROUNDING)]
    _, nearest = _tree(others, scale).query((points * scale[:, None]).T)
    return others[:, nearest]


def _tree(points: Indices, scale: Floats) -> KDTree:
    return KDTree((points * scale[:, None]).T, balanced_tree=False, compact_nodes=False)  # half the time to build


def _outside(points: Indices, others: Indices) -> Indices:
    """(D, N) steps from the box around (D, M) others to each of (D, N) points; 0 inside."""
    low, high = others.min(axis=1, keepdims=True), others.max(axis=1, keepdims=True)
    return np.asarray(np.maximum(0, np.maximum(low - points, points - high)))


def _length(steps: Indices, scale: Floats) -> Floats:
    """Of (D, N) steps in pixels. Coordinates times spacing would put a distance of just the tolerance beyond it."""
    return np.asarray(np.sqrt(((steps * scale[:, None]) ** 2).sum(axis=0)))


def _pixels(mask: Mask) -> Indices:
    """(D, N) indices of the pixels of a mask, in reading order."""
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape))


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    axes = range(mask.ndim)
    filled = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(slice(int(places[0]), int(places[-1]) + 1) for places in filled)


def _border(mask: Mask) -> Mask:
    """The pixels of a mask that have a neighbour outside, along any axis."""
    padded = np.pad(mask, 1)
    inner = (slice(1, -1),) * mask.ndim
    inside = mask.copy()
    for axis in range(mask.ndim):
        for shifted in (slice(None, -2), slice(2, None)):
            inside &= padded[(*inner[:axis], shifted, *inner[axis + 1 :])]
    return mask & ~inside
