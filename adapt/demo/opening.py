"""An image that is looked at: a picture, or a volume, stack or scene of which one slice or tile is seen at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.predict.inputs import Input, find_inputs
from adapt.predict.opened import Opened
from adapt.predict.opening import open_input
from adapt.recipe import DataSettings
from adapt.tiles import Tile, tile_image


@dataclass(frozen=True)
class Part:
    """What is seen at a time: a tile of a slice; the whole of it if the image is not tiled."""

    slice: int
    tile: Tile


@dataclass(frozen=True, eq=False)
class OpenImage:
    """An image whose parts can be asked for as long as its context is open.

    Attributes:
        name: of its file.
        opened: the image, as `predict` reads it.
        parts: at least one.
    """

    name: str
    opened: Opened
    parts: Sequence[Part]

    @property
    def called(self) -> str:
        """What one of its parts is called."""
        if self.opened.slices == len(self.parts):
            return "slice"
        return "tile" if self.opened.slices == 1 else "tile of a slice"

    @property
    def first(self) -> int:
        """The part that is shown first: of slices the middle one, since a volume often begins with air."""
        return len(self.parts) // 2 if self.opened.slices > 1 else 0

    def pixels(self, part: int) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8 of a part."""
        return self.opened.picture(self.parts[part].slice, self.parts[part].tile)

    def placed(self, mask: npt.NDArray[np.bool_], part: int) -> npt.NDArray[np.bool_]:
        """A mask (h, w) of a part as one (H, W) of the whole image or slice."""
        if self.parts[part].tile == self.opened.whole:
            return mask
        whole = np.zeros((self.opened.height, self.opened.width), dtype=bool)
        whole[self.parts[part].tile.slices] = mask
        return whole


def inputs_of(path: Path, readers: Sequence[DataSettings]) -> list[tuple[Input, DataSettings]]:
    """The images at a path, a file or a folder, each with the settings that read it.

    Args:
        path: of what is to be seen.
        readers: the recipe's own data section first; the first that can read the path is taken.

    Raises:
        DataError: none can; what the first one says.
    """
    faults = []
    for settings in readers:
        try:
            return [(one, settings) for one in find_inputs(path, settings)]
        except DataError as error:
            faults.append(error)
    raise faults[0]


@contextmanager
def open_image(one: Input, settings: DataSettings) -> Iterator[OpenImage]:
    """Open an image.

    Raises:
        DataError: it cannot be read, is too large, or lacks what the settings ask for.
    """
    with open_input(one, settings) as opened:
        tiles = [opened.whole]
        if opened.tile_size is not None and max(opened.height, opened.width) > opened.tile_size:
            tiles = tile_image(opened.height, opened.width, size=opened.tile_size, overlap=opened.tile_overlap)
        yield OpenImage(one.path.name, opened, [Part(index, tile) for index in range(opened.slices) for tile in tiles])
