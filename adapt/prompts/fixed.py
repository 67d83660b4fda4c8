"""Prompts without chance, for evaluation: the centre of a mask and its tight box."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Mask = npt.NDArray[np.bool_]


def tight_boxes(masks: Tensor) -> Tensor:
    """Smallest boxes around masks.

    Args:
        masks: (..., H, W) bool.

    Returns:
        (..., 4) float32 XYXY, centres of the first and last object pixels; zeros for an empty mask.
    """
    rows, columns = masks.any(-1), masks.any(-2)
    y0, x0 = rows.int().argmax(-1), columns.int().argmax(-1)  # argmax gives the first of equals
    y1 = rows.shape[-1] - 1 - rows.flip(-1).int().argmax(-1)
    x1 = columns.shape[-1] - 1 - columns.flip(-1).int().argmax(-1)
    boxes = torch.stack((x0, y0, x1, y1), dim=-1)
    return torch.where(rows.any(-1)[..., None], boxes, 0).float()


def center_points(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The pixel of each mask that is farthest from the mask's border (design: one click protocol).

    The image border counts as a border of the mask, as in RITM's and Segment Anything's evaluation. Of
    several such pixels the first in reading order is taken.

    Args:
        masks: (N, H, W) bool, none empty.

    Returns:
        (N, 2) float32 xy, pixel indices.
    """
    with ThreadPoolExecutor() as pool:
        return np.array([point for _, point in pool.map(_deepest, masks)], dtype=np.float32).reshape(-1, 2)


def correction_points(
    truth: npt.NDArray[np.bool_], answers: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The next click of a user who mends the worst first: the centre of the largest error region.

    Largest is the missed or the spilled region whose deepest pixel is farthest from its border, and that pixel is
    clicked (RITM: Sofiiuk et al., 2022, section 4.1). The image border counts as a border.

    Args:
        truth: (N, H, W) bool, none empty.
        answers: (N, H, W) bool.

    Returns:
        (N, 2) float32 xy and (N,) int64 labels: 1 where the object was missed, 0 where the answer spilled. An answer
        without a fault is clicked at the centre of the object.
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_correction, truth, answers))
    points = np.array([point for point, _ in found], dtype=np.float32).reshape(-1, 2)
    return points, np.array([label for _, label in found], dtype=np.int64)


def _correction(wanted: Mask, given: Mask) -> tuple[tuple[int, int], int]:
    """The click on one object, and its label."""
    missed, missed_point = _deepest(wanted > given)
    spilled, spilled_point = _deepest(given > wanted)
    if missed == spilled == 0:
        return _deepest(wanted)[1], 1
    return (missed_point, 1) if missed >= spilled else (spilled_point, 0)


def _deepest(mask: Mask) -> tuple[float, tuple[int, int]]:
    """Distance to the border of the pixel that is farthest from it, and its xy; (0, (0, 0)) for an empty mask.

    Masks of many objects are looked at in as many threads: NumPy and OpenCV let one another work.
    """
    pixels = mask.view(np.uint8)
    left, top, width, height = cv2.boundingRect(pixels)
    if not width:
        return 0.0, (0, 0)
    # cut to the mask and padded by one background pixel, its distances to the background are the same
    padded = np.pad(pixels[top : top + height, left : left + width], 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.round(distance, 3)  # equal distances differ in their last bits, and not always in the same ones
    row, column = divmod(int(distance.argmax()), width + 2)
    return float(distance[row, column]), (left + column - 1, top + row - 1)
