"""From the masks of an image to its edges, one pixel wide (Segment Anything, section 7.2 and appendix D).

The Sobel filter runs over the probabilities of each mask, not over the mask, so that a sure border is a strong edge;
what lies off the mask's outer border is dropped, the greatest value of all masks is kept, and the map is stretched to
0..1. Edges are then thinned twice: where a neighbour across the edge is stronger, the pixel is no edge (Canny, 1986);
and what passes a threshold is peeled down to lines (Guo and Hall, 1989), as the Berkeley benchmark does.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.floating]
RIDGE = 2.0
"""Standard deviation, pixels, of the blur from which the direction across an edge is told."""
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The eight neighbours, clockwise from the one above: rows and columns."""


def edge_map(probabilities: Iterable[Floats], *, height: int, width: int) -> npt.NDArray[np.float64]:
    """Strength of the edges of an image, (height, width) from 0 to 1; all 0 where no mask has a border.

    Args:
        probabilities: of each mask, (height, width), 0 to 1; a mask is where they are above 0.5.
        height: of the image.
        width: of the image.
    """
    strongest = np.zeros((height, width))
    for values in probabilities:
        mask = values > 0.5
        border = ndimage.binary_dilation(mask) & ~mask
        slopes = [ndimage.sobel(values.astype(np.float64), axis=axis, mode="nearest") for axis in (0, 1)]
        np.maximum(strongest, np.hypot(*slopes), out=strongest, where=border)
    return strongest / (strongest.max(initial=0) or 1)


def suppress_weaker(edges: Floats) -> npt.NDArray[np.float64]:
    """An edge map without the pixels that have a stronger neighbour across the edge.

    Across is the direction in which the blurred map bends most, up or down; between pixels it is interpolated.

    Args:
        edges: (H, W) strength, from 0.
    """
    down, right, both = (ndimage.gaussian_filter(edges, RIDGE, order=order) for order in ((2, 0), (0, 2), (1, 1)))
    upwards = np.arctan2(2 * both, right - down) / 2  # the axis of the greater second derivative
    across = np.where(right + down > 0, upwards, upwards + np.pi / 2)
    rows, columns = np.indices(edges.shape)
    step_down, step_right = np.sin(across), np.cos(across)
    before, behind = (
        ndimage.map_coordinates(edges, [rows + sign * step_down, columns + sign * step_right], order=1, mode="nearest")
        for sign in (-1, 1)
    )
    return np.where((edges >= before) & (edges > behind), edges, 0.0)


def thin(mask: Mask) -> Mask:
    """Lines one pixel wide that hang together as the (H, W) mask does."""
    padded = np.pad(mask, 1)
    flat = padded.reshape(-1)
    steps = np.array([row * padded.shape[1] + column for row, column in AROUND])
    while True:
        removed = 0
        for turn in (0, 4):
            places = np.flatnonzero(flat)
            around = flat[places[:, None] + steps]
            peeled = places[_removable(around, turn)]
            flat[peeled] = False
            removed += len(peeled)
        if not removed:
            return padded[1:-1, 1:-1]


def _removable(around: Mask, turn: int) -> Mask:
    """Which pixels neither end a line nor hold it together; `turn` 0 peels from one side, 4 from the other.

    Args:
        around: (K, 8) neighbours in the order of `AROUND`.
        turn: by how many places the neighbours are turned.
    """
    sides, corners, after = around[:, 0::2], around[:, 1::2], np.roll(around[:, 0::2], -1, axis=1)
    pieces = (~sides & (corners | after)).sum(axis=1)
    before = np.roll(corners, 1, axis=1)
    neighbours = np.minimum((before | sides).sum(axis=1), (sides | corners).sum(axis=1))
    turned = np.roll(around, turn, axis=1)
    kept = (turned[:, 4] | turned[:, 5] | ~turned[:, 7]) & turned[:, 6]
    return np.asarray((pieces == 1) & (neighbours >= 2) & (neighbours <= 3) & ~kept)
