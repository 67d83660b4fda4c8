"""Which part of a large image each prompt is asked in: a tile in whose middle it lies, so that nothing is cut."""

from collections.abc import Sequence

import numpy as np

from adapt.predict.prompted import PromptedObject
from adapt.tiles import Tile

CONTEXT = 1.5
"""Side of the window of a box that no tile holds, as a multiple of the box's longer side."""


def windows_of_prompts(
    objects: Sequence[PromptedObject], *, height: int, width: int, size: int
) -> dict[Tile, list[int]]:
    """Windows, and the places of the objects that are asked in each; every object is in one.

    Tiles lie half over one another, so that a click is a quarter of a tile away from the border, at least. Prompts near
    together share a tile, so that it is encoded once. A box that comes near the border of every tile has a window of
    its own.

    Args:
        objects: their clicks and boxes lie inside the image.
        height: of the image.
        width: of the image.
        size: side of a tile.
    """
    step = max(size // 2, 1)
    found: dict[Tile, list[int]] = {}
    for place, one in enumerate(objects):
        x0, y0, x1, y1 = one.bounds
        longer = max(x1 - x0, y1 - y0) + 1
        side = size if longer * CONTEXT <= size else int(np.ceil(longer * CONTEXT))
        spans = [
            _span(low, high, length=length, side=side, step=step if side == size else 1)
            for low, high, length in ((y0, y1, height), (x0, x1, width))
        ]
        (top, tall), (left, wide) = spans
        found.setdefault(Tile(top, left, tall, wide), []).append(place)
    return dict(sorted(found.items(), key=lambda item: (item[0].top, item[0].left)))


def _span(low: float, high: float, *, length: int, side: int, step: int) -> tuple[int, int]:
    """Start and length of the window along a side, of those that begin at multiples of `step` or end with the image."""
    if side >= length:
        return 0, length
    wanted = (low + high + 1 - side) / 2  # here the prompt would lie in the middle
    start = int(np.clip(round(wanted / step) * step, 0, length - side))
    return start, side
