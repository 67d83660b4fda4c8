"""What comes out: a mask as run lengths, with all that is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from adapt.formats import decode_masks


class Rle(TypedDict):
    """Compressed run lengths of COCO, as `pycocotools` reads them.

    Attributes:
        size: height and width of the image, pixels.
        counts: column by column.
    """

    size: tuple[int, int]
    counts: bytes


@dataclass(frozen=True)
class GeneratedMask:
    """One mask of an image; all coordinates are pixel indices of the image frame.

    Attributes:
        rle: of the whole image; see `Rle`.
        box: XYXY, centres of the first and last pixels.
        area: pixels.
        predicted_iou: what the segmenter expects; may be above 1.
        stability: 0 to 1, see `GenerateSettings.stability`.
        point: xy of the click that it answers.
        crop: XYXY of the crop that the click was given in, first pixel and the one behind the last.
    """

    rle: Rle
    box: tuple[float, float, float, float]
    area: int
    predicted_iou: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]

    @property
    def pixels(self) -> npt.NDArray[np.bool_]:
        """(H, W) bool, decoded anew on each call."""
        height, width = self.rle["size"]
        (mask,) = decode_masks([self.rle["counts"]], height=height, width=width)
        return np.asarray(mask)


def boxes_of(masks: Sequence[GeneratedMask]) -> npt.NDArray[np.float64]:
    """(N, 4) XYXY boxes."""
    return np.array([mask.box for mask in masks], dtype=np.float64).reshape(-1, 4)
