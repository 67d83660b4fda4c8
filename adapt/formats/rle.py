"""COCO run-length encoding of masks, by pycocotools."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco


def encode_masks(masks: npt.NDArray[np.bool_]) -> list[bytes]:
    """(N, H, W) bool as N compressed run-length counts."""
    columns = np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8))
    return [entry["counts"] for entry in coco.encode(columns)]


def decode_masks(counts: Sequence[bytes], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Inverse of `encode_masks`."""
    if not counts:
        return np.zeros((0, height, width), dtype=bool)
    decoded = coco.decode([{"size": [height, width], "counts": entry} for entry in counts])
    return np.ascontiguousarray(decoded.transpose(2, 0, 1)).astype(bool)
