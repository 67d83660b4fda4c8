"""Prompts without chance, for evaluation: the centre of a mask and its tight box."""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


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
    points = np.zeros((len(masks), 2), dtype=np.float32)
    for index, mask in enumerate(masks):  # OpenCV's exact distance transform takes one mask at a time
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = rows[0], columns[0]
        # cut to the object and padded by one background pixel, its distances to the background are the same
        padded = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8), 1)
        distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        row, column = np.unravel_index(int(distance.argmax()), distance.shape)
        points[index] = left + column, top + row
    return points
