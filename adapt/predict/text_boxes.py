"""Boxes that a phrase finds in an input, as prompts: slice by slice, whole or in tiles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.generate import suppress
from adapt.predict.opened import Image, Opened
from adapt.predict.prompted import PromptedObject
from adapt.text import TextBox
from adapt.tiles import Tile, tile_image

EDGE = 2.0
"""Pixels: a box this near to a side of its tile behind which the image goes on may be cut by it."""


@dataclass(frozen=True, eq=False)
class TextBoxes:
    """A detector that is asked for phrases.

    Attributes:
        find: from an image (H, W, 3) uint8 to the boxes in it.
        nms: see `TextSettings.nms`.
        about: what decides which boxes there are; a finished input is done again if it changes.
        advice: what to do where nothing is found.
    """

    find: Callable[[Image], Sequence[TextBox]]
    nms: float
    about: Mapping[str, Any]
    advice: str


def boxes_in(opened: Opened, text: TextBoxes) -> list[PromptedObject]:
    """A prompt for each box of an input, best first in each slice.

    What is larger than a tile is looked at tile by tile. A box that a tile cuts gives way to one of another tile that
    has most of it.
    """
    size = opened.tile_size
    tiled = size is not None and max(opened.height, opened.width) > size
    tiles = [opened.whole]
    if tiled and size is not None:
        tiles = tile_image(opened.height, opened.width, size=size, overlap=opened.tile_overlap)
    found: list[PromptedObject] = []
    for index in range(opened.slices):
        pieces = [(tile, box) for tile in tiles for box in text.find(opened.picture(index, tile))]
        place = opened.place_of(index)
        kept = joined_boxes(pieces, height=opened.height, width=opened.width, most=text.nms)
        found += [
            PromptedObject(
                box=box.box,
                category=box.phrase,
                score=box.score,
                slice=place.get("slice"),
                frame=place.get("frame"),
                place=f"--text {box.phrase!r}",
            )
            for box in kept
        ]
    return found


def joined_boxes(pieces: Sequence[tuple[Tile, TextBox]], *, height: int, width: int, most: float) -> list[TextBox]:
    """Boxes of tiles in the frame of the whole image, of which those of one phrase that nearly coincide are one.

    Args:
        pieces: each box with the tile in whose frame it is.
        height: of the whole image.
        width: of the whole image.
        most: largest IoU of two boxes that both stay, and largest share of a cut one that another one covers.
    """
    boxes = [TextBox(box.phrase, box.score, _moved(box.box, tile)) for tile, box in pieces]
    cut = np.array([_is_cut(box.box, tile, height=height, width=width) for tile, box in pieces], dtype=bool)
    kept: list[int] = []
    for phrase in dict.fromkeys(box.phrase for box in boxes):
        own = np.array([place for place, box in enumerate(boxes) if box.phrase == phrase])
        corners = np.array([boxes[place].box for place in own])
        corners[:, 2:] += 1  # a pixel has an area
        covered = np.array([bool(cut[one]) and _covered(place, corners, most) for place, one in enumerate(own)])
        own, corners = own[~covered], corners[~covered]
        scores = np.array([boxes[place].score for place in own])
        kept += own[suppress(corners, scores, most=most)].tolist()
    return [boxes[place] for place in sorted(kept, key=lambda place: -boxes[place].score)]


def _moved(box: tuple[float, float, float, float], tile: Tile) -> tuple[float, float, float, float]:
    return box[0] + tile.left, box[1] + tile.top, box[2] + tile.left, box[3] + tile.top


def _is_cut(box: tuple[float, float, float, float], tile: Tile, *, height: int, width: int) -> bool:
    x0, y0, x1, y1 = box
    return (
        (tile.left > 0 and x0 < EDGE)
        or (tile.top > 0 and y0 < EDGE)
        or (tile.left + tile.width < width and x1 > tile.width - 1 - EDGE)
        or (tile.top + tile.height < height and y1 > tile.height - 1 - EDGE)
    )


def _covered(place: int, corners: npt.NDArray[np.float64], most: float) -> bool:
    """Whether a larger box has more than this share of a box."""
    left, top, right, bottom = corners.T
    wide = np.minimum(right, right[place]) - np.maximum(left, left[place])
    tall = np.minimum(bottom, bottom[place]) - np.maximum(top, top[place])
    shared = np.maximum(wide, 0) * np.maximum(tall, 0)
    areas = (right - left) * (bottom - top)
    return bool(((shared > most * areas[place]) & (areas > areas[place])).any())
