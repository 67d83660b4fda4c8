"""Small holes and islands of a mask."""

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def without_small_regions(mask: Mask, *, least: int) -> Mask:
    """The mask with holes of fewer than `least` pixels filled, then its islands of fewer removed.

    Of islands that are all too small the largest stays. Pixels that touch by a corner are of one region, in the mask
    and in what surrounds it, as in the published code.

    Args:
        mask: (H, W) bool.
        least: pixels.
    """
    regions, areas = _regions(~mask)
    filled = mask | (areas < least)[regions] & ~mask
    islands, areas = _regions(filled)
    if not areas[1:].size:
        return filled
    stay = areas >= least
    stay[0] = False
    if not stay.any():
        stay[1 + areas[1:].argmax()] = True
    return stay[islands]


def _regions(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """(H, W) number of the region of each pixel, 0 outside the mask, and the area of each."""
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return regions, statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
