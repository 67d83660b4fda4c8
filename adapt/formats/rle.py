"""COCO run-length encoding of masks, by pycocotools."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco


def encode_masks(masks: npt.NDArray[np.bool_]) -> list[bytes]:
    """(N, H, W) bool as N compressed run-length counts."""
    height, width = masks.shape[1:]
    encoded = []
    for mask in masks:
        left, top, wide, tall = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
        part = mask[top : top + tall, left : left + wide]
        encoded.append(encode_part(part, top=top, left=left, height=height, width=width))
    return encoded


def encode_part(part: npt.NDArray[np.bool_], *, top: int, left: int, height: int, width: int) -> bytes:
    """Compressed run-length counts of a mask that is empty but for a part.

    Most masks are small, and their parts are several times faster to encode than the whole.

    Args:
        part: (h, w) bool.
        top: its first row in the whole mask.
        left: its first column there.
        height: of the whole mask.
        width: of the whole mask.
    """
    tall, wide = part.shape
    columns = np.zeros((wide, tall + 1), dtype=bool)  # a pixel of background ends each column
    columns[:, :tall] = part.T
    changes = np.flatnonzero(np.diff(columns.reshape(-1), prepend=False))
    column, row = np.divmod(changes, tall + 1)
    bounds = (left + column) * height + top + row
    goes_on = np.flatnonzero(bounds[1:] == bounds[:-1])  # from the foot of a column to the head of the next
    bounds = np.delete(bounds, np.concatenate((goes_on, goes_on + 1)))
    last = [] if bounds.size and bounds[-1] == height * width else [height * width]
    runs = {"size": [height, width], "counts": np.diff(np.concatenate(([0], bounds, last)).astype(np.int64))}
    (encoded,) = coco.frPyObjects([runs], height, width)
    return bytes(encoded["counts"])


def decode_masks(counts: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_masks`."""
    masks = np.empty((len(counts), height, width), dtype=bool)
    for mask, entry in zip(masks, counts, strict=True):  # one at a time: all at once would hold three copies
        mask[:] = coco.decode({"size": [height, width], "counts": entry})
    return masks
