"""From unlabelled images to the pictures that are labelled: whole images, slices of volumes, tiles of scenes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from adapt.labelling.drawing import Picture
from adapt.predict.inputs import Input
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject, inside
from adapt.tiles import Tile, tile_image

LETTERS = {"slice": "z", "frame": "t"}
"""What says where a picture lies, as it stands in the picture's name."""


@dataclass(frozen=True)
class Place:
    """Where a picture lies in its image; `slice` is 0 in an image of one."""

    name: str
    slice: int
    tile: Tile


def places_of(one: Input, opened: Opened) -> Iterator[Place]:
    """The pictures of an image, in the tiles in which training would see it, but side by side."""
    tiles = [opened.whole]
    if opened.tile_size is not None:
        tiles = tile_image(opened.height, opened.width, size=opened.tile_size, overlap=0)
    for index in range(opened.slices):
        of_slice = "".join(f"_{LETTERS[name]}{number:04d}" for name, number in opened.place_of(index).items())
        for tile in tiles:
            of_tile = f"_y{tile.top:05d}_x{tile.left:05d}" if len(tiles) > 1 else ""
            yield Place(f"{one.name}{of_slice}{of_tile}.png", index, tile)


def pixels_of(opened: Opened, place: Place) -> Picture:
    """(H, W, 3) uint8."""
    return opened.picture(place.slice, place.tile)


def prompts_of(wanted: Sequence[PromptedObject], opened: Opened, place: Place) -> list[PromptedObject]:
    """Prompts of a picture, in its frame: those whose box has its middle there, or whose first click on the object is.

    Boxes end at its border, and clicks beyond it are left out.

    Args:
        wanted: of the whole image.
        opened: the image.
        place: the picture.

    Raises:
        DataError: a prompt lies outside of the image, or names no slice of it.
    """
    tile, own = place.tile, []
    there = inside(wanted, height=opened.height, width=opened.width, slices=opened.slices, series=opened.series)
    for one in there:
        if (one.slice or 0) == place.slice and _holds(tile, *_anchor(one)):
            moved = replace(one, clicks=tuple(click for click in one.clicks if _holds(tile, *click[:2]))).moved(
                tile.left, tile.top
            )
            own += inside([replace(moved, slice=None)], height=tile.height, width=tile.width, slices=1)
    return own


def _anchor(one: PromptedObject) -> tuple[float, float]:
    if one.box is None:
        return next((x, y) for x, y, label in one.clicks if label)
    x0, y0, x1, y1 = one.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _holds(tile: Tile, x: float, y: float) -> bool:
    across, down = x - tile.left, y - tile.top
    return -0.5 <= across < tile.width - 0.5 and -0.5 <= down < tile.height - 0.5
