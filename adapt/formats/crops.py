"""Masks as bits inside their bounding boxes: quick to decode one by one, however large the image is."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Box = tuple[int, int, int, int]
"""Top, left, height and width of a mask's bounding box, pixels."""


def encode_crops(masks: npt.NDArray[np.bool_]) -> tuple[list[Box], list[bytes]]:
    """Bounding boxes of (N, H, W) bool masks, and what is inside them, eight pixels a byte, row by row.

    An empty mask has an empty box.
    """
    boxes: list[Box] = []
    packed: list[bytes] = []
    for mask in masks:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        top, left = (int(rows[0]), int(columns[0])) if rows.size else (0, 0)
        height, width = (int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left) if rows.size else (0, 0)
        boxes.append((top, left, height, width))
        packed.append(np.packbits(mask[top : top + height, left : left + width]).tobytes())
    return boxes, packed


def crops(boxes: Sequence[Box], packed: Sequence[bytes]) -> Iterator[npt.NDArray[np.bool_]]:
    """What is inside each box, (h, w) bool."""
    for (_, _, height, width), entry in zip(boxes, packed, strict=True):
        bits = np.unpackbits(np.frombuffer(entry, dtype=np.uint8), count=height * width)
        yield bits.view(np.bool_).reshape(height, width)


def decode_crops(boxes: Sequence[Box], packed: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_crops`: (N, height, width) bool."""
    masks = np.zeros((len(boxes), height, width), dtype=bool)
    for mask, (top, left, tall, wide), inside in zip(masks, boxes, crops(boxes, packed), strict=True):
        mask[top : top + tall, left : left + wide] = inside
    return masks
