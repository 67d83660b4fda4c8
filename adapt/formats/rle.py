"""COCO run-length encoding of masks, by pycocotools."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco


def encode_masks(masks: npt.NDArray[np.bool_]) -> list[bytes]:
    """(N, H, W) bool as N compressed run-length counts."""
    return [coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"] for mask in masks]


def decode_masks(counts: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_masks`."""
    masks = np.empty((len(counts), height, width), dtype=bool)
    for mask, entry in zip(masks, counts, strict=True):  # one at a time: all at once would hold three copies
        mask[:] = coco.decode({"size": [height, width], "counts": entry})
    return masks
