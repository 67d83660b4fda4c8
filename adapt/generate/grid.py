"""Where is clicked: a grid of points over the image, and over crops of it."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

CropBox = tuple[int, int, int, int]
"""XYXY, first pixel and the one behind the last, image frame."""


@dataclass(frozen=True)
class Crop:
    """A part of an image that the encoder sees on its own.

    Attributes:
        box: see `CropBox`.
        layer: 0 is the whole image, layer n has 4^n crops.
    """

    box: CropBox
    layer: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        left, top, right, bottom = self.box
        return bottom - top, right - left


def point_grid(per_side: int) -> npt.NDArray[np.float64]:
    """Centres of `per_side` x `per_side` equal cells of the unit square: (per_side^2, 2) xy, row by row."""
    centres = (np.arange(per_side) + 0.5) / per_side
    return np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)


def crops_of(height: int, width: int, *, layers: int, overlap: float) -> list[Crop]:
    """The whole image, then the crops of each layer, column by column; they cover the image and overlap.

    Args:
        height: of the image.
        width: of the image.
        layers: of crops beside the whole image.
        overlap: of neighbours in the first layer, as a share of the shorter side; half of it in the next layer.
    """
    found = [Crop((0, 0, width, height), layer=0)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        shared = int(overlap * min(height, width) * 2 / per_side)
        columns, rows = (_spans(length, per_side, shared) for length in (width, height))
        found += [Crop((x0, y0, x1, y1), layer) for (x0, x1), (y0, y1) in product(columns, rows)]
    return found


def _spans(length: int, count: int, shared: int) -> list[tuple[int, int]]:
    """First pixel, and the one behind the last, of parts of a line; of a line too short for `count`, fewer."""
    long = math.ceil((shared * (count - 1) + length) / count)
    starts = [start for start in (number * (long - shared) for number in range(count)) if start < length]
    return [(start, min(start + long, length)) for start in dict.fromkeys(starts)]
