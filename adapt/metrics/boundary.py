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
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
PERCENTILE = 95


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
    borders = [_border(mask[box]) for mask in (predicted, truth)]
    to_other = [
        ndimage.distance_transform_edt(~other, sampling=spacing)[border]
        for border, other in zip(borders, reversed(borders), strict=True)
    ]
    within = sum(np.count_nonzero(distances <= tolerance) for distances in to_other)
    return BoundaryScore(
        nsd=within / sum(len(distances) for distances in to_other),
        hd95=max(float(np.percentile(distances, PERCENTILE)) for distances in to_other),
    )


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(box)


def _border(mask: Mask) -> Mask:
    padded = np.pad(mask, 1)
    inside = ndimage.binary_erosion(padded)[(slice(1, -1),) * mask.ndim]
    return np.asarray(mask & ~inside)
