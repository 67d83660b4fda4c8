"""Large images as tiles, and which objects a tile cuts."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image, in pixels of the image."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) to index an (H, W) array of the whole image with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def tile_image(height: int, width: int, *, size: int, overlap: int) -> list[Tile]:
    """Tiles that cover an image, row by row.

    Each is `size` x `size`, or as long as the image where that is shorter. Neighbours share at least `overlap`
    pixels; a last tile that would stick out is moved back, so it shares more.

    Args:
        height: of the image.
        width: of the image.
        size: side of a tile.
        overlap: pixels that neighbours share, below `size`.
    """
    rows, columns = (_starts(length, size, overlap) for length in (height, width))
    return [Tile(top, left, min(size, height), min(size, width)) for top, left in product(rows, columns)]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must be from 0 to {size - 1}, is {overlap}")
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def cut_by_border(masks: npt.NDArray[np.bool_], tile: Tile, *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """(N,) bool: whether an object of a tile reaches a side of the tile behind which the image goes on.

    Args:
        masks: (N, h, w) bool of the tile.
        tile: where it lies.
        height: of the whole image.
        width: of the whole image.
    """
    inside = (
        (masks[:, 0], tile.top > 0),
        (masks[:, -1], tile.top + tile.height < height),
        (masks[:, :, 0], tile.left > 0),
        (masks[:, :, -1], tile.left + tile.width < width),
    )
    cut = np.zeros(len(masks), dtype=bool)
    for side, goes_on in inside:
        if goes_on:
            cut |= side.any(1)
    return cut
