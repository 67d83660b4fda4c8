"""Inputs that are open: their pixels as the recipe's data section has them, which is what training saw."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from adapt.formats import Volume
from adapt.tiles import Tile

Image = npt.NDArray[np.uint8]
Voxel = TypeVar("Voxel", bound=np.generic)


@dataclass(frozen=True)
class Plain:
    """What the output of a picture, or of a stack of planes or frames, repeats of its input.

    Attributes:
        pixel_size: (row, column) in micrometres, or None where nobody says.
        stacked: the axis along which there are several, in depth or in time.
    """

    pixel_size: tuple[float, float] | None = None
    stacked: Literal["Z", "T"] = "Z"


@dataclass(frozen=True, eq=False)
class Scan:
    """What the output of a volume repeats of its input.

    Attributes:
        volume: as it was read.
        axis: of the volume, along which the slices are stacked.
    """

    volume: Volume
    axis: int

    def in_slices(self, values: npt.NDArray[Voxel]) -> npt.NDArray[Voxel]:
        """(Z, Y, X) values of the volume as (slices, H, W), as slices are looked at; a view."""
        moved = np.moveaxis(values, self.axis, 0)
        return moved if self.axis == 0 else moved[:, ::-1]

    def in_volume(self, slices: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """(slices, H, W) labels, as slices are looked at, as (Z, Y, X) labels of the volume."""
        return np.moveaxis(slices if self.axis == 0 else slices[:, ::-1], 0, self.axis)


@dataclass(frozen=True)
class Ground:
    """What the output of a scene repeats of its input: the header of the GeoTIFF."""

    path: Path


@dataclass(frozen=True, eq=False)
class Opened:
    """An input whose pixels can be asked for as long as its context is open.

    Attributes:
        height, width: of an image, pixels.
        slices: images, one upon another or one after another; 1 if there is only one.
        picture: from a slice and a tile of it to its (h, w, 3) uint8 pixels.
        tile_size, tile_overlap: in which training has seen it; None if whole.
        like: what the output repeats.
    """

    height: int
    width: int
    slices: int
    picture: Callable[[int, Tile], Image]
    tile_size: int | None
    tile_overlap: int
    like: Plain | Scan | Ground

    @property
    def slice_name(self) -> str:
        """What one of the images is called."""
        return "frame" if isinstance(self.like, Plain) and self.like.stacked == "T" else "slice"

    @property
    def whole(self) -> Tile:
        """The tile that is the image."""
        return Tile(0, 0, self.height, self.width)


def whole_image(image: Image) -> Opened:
    """Pixels (H, W, 3) that are there already, and are not cut into tiles."""
    height, width = image.shape[:2]
    return Opened(height, width, 1, lambda _, tile: image[tile.slices], None, 0, Plain())
