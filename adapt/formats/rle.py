"""COCO run-length encoding of masks, by pycocotools."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

Box = tuple[int, int, int, int]
"""Top, left, height and width of a mask's bounding box, pixels."""


def encode_masks(masks: npt.NDArray[np.bool_]) -> list[bytes]:
    """(N, H, W) bool as N compressed run-length counts."""
    return [coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"] for mask in masks]


def decode_masks(counts: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_masks`."""
    masks = np.empty((len(counts), height, width), dtype=bool)
    for mask, entry in zip(masks, counts, strict=True):  # one at a time: all at once would hold three copies
        mask[:] = coco.decode({"size": [height, width], "counts": entry})
    return masks


def encode_crops(masks: npt.NDArray[np.bool_]) -> tuple[list[Box], list[bytes]]:
    """Bounding boxes of (N, H, W) bool masks, and run-length counts of what is inside them.

    A small object in a large image is decoded a hundred times faster from its box than from the whole image.
    An empty mask has an empty box.
    """
    boxes: list[Box] = []
    counts: list[bytes] = []
    for mask in masks:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        top, left = (int(rows[0]), int(columns[0])) if rows.size else (0, 0)
        height, width = (int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left) if rows.size else (0, 0)
        boxes.append((top, left, height, width))
        counts += encode_masks(mask[None, top : top + height, left : left + width])
    return boxes, counts


def decode_crops(boxes: Sequence[Box], counts: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_crops`: (N, height, width) bool."""
    masks = np.zeros((len(boxes), height, width), dtype=bool)
    for mask, (top, left, tall, wide), entry in zip(masks, boxes, counts, strict=True):
        inside = coco.decode({"size": [tall, wide], "counts": entry})
        mask[top : top + tall, left : left + wide] = inside
    return masks
