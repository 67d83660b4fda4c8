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
        """(Z, Y, X) values of the volume as (slices, H, W), as slices are looked at.

        Of several times, (T, Z, Y, X), those of a slice lie one behind the other.
        """
        moved = np.moveaxis(values, values.ndim - 3 + self.axis, 0)
        looked_at = moved if self.axis == 0 else moved[..., ::-1, :]
        return looked_at.reshape(-1, *looked_at.shape[-2:])

    def in_volume(self, slices: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """(slices, H, W) labels, as slices are looked at, as (Z, Y, X) or (T, Z, Y, X) labels of the volume."""
        times = () if self.volume.clock is None else (len(self.volume.frames),)
        stored = slices if self.axis == 0 else slices[:, ::-1]
        return np.moveaxis(stored.reshape(-1, *times, *stored.shape[1:]), 0, len(times) + self.axis)


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
        series: how many slices have a row of frames each, which lie one behind the other in `slices`; 1 where all
            images are one row.
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
    series: int = 1

    @property
    def length(self) -> int:
        """Images that follow one another."""
        return self.slices // self.series

    @property
    def slice_name(self) -> str:
        """What one of the images that follow one another is called."""
        match self.like:
            case Plain(stacked="T"):
                return "frame"
            case Scan(volume=volume) if volume.clock is not None:
                return "frame"
            case _:
                return "slice"

    def called(self, index: int) -> str:
        """An image of its row, for messages: slice 12, or frame 3."""
        return f"{self.slice_name} {index % self.length}"

    def place_of(self, index: int) -> dict[str, int]:
        """Where an image lies, for records: its slice, and with several series its frame; nothing of a single one."""
        if self.slices == 1:
            return {}
        if self.series == 1:
            return {"slice": index}
        return {"slice": index // self.length, "frame": index % self.length}

    @property
    def whole(self) -> Tile:
        """The tile that is the image."""
        return Tile(0, 0, self.height, self.width)


def whole_image(image: Image) -> Opened:
    """Pixels (H, W, 3) that are there already, and are not cut into tiles."""
    height, width = image.shape[:2]
    return Opened(height, width, 1, lambda _, tile: image[tile.slices], None, 0, Plain())
