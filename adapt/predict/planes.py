"""Microscopy images for prediction: channels, planes, projections and frames as the recipe's data section has them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.microscopy import counted_step, plane_picture, projected, value_ranges
from adapt.datamodules.microscopy_files import open_image
from adapt.datamodules.microscopy_pictures import Picture, pictures_of, series_axis
from adapt.formats.planes import channel_indices
from adapt.predict.opened import Image, Opened, Plain
from adapt.recipe import MicroscopyData
from adapt.tiles import Tile

STRIP = 1024
"""Rows, about, that are looked at together where a plane need not be held whole."""


@contextmanager
def open_planes(path: Path, data: MicroscopyData) -> Iterator[Opened]:
    """An image of one plane, a projection, or with `z: all` or `time: all` a stack of planes or frames.

    Windows are read where the format allows; else the plane that was asked for last is held whole.

    Raises:
        DataError: unreadable, too large, or a time, plane or channel that is not there or not chosen.
    """
    with open_image(path, data) as image:
        channels = channel_indices(image, data.channels)
        pictures = pictures_of(image, data)
        height, width = image.size

        def pixels(shown: Picture, tile: Tile) -> npt.NDArray[Any]:
            return np.stack([projected(image, shown, channel, window=tile.slices) for channel in channels], axis=-1)

        step = counted_step(image, len(pictures))
        rows = step * max(1, STRIP // step) if image.windowed else height
        strips = [Tile(top, 0, min(rows, height - top), width) for top in range(0, height, rows)]
        ranges = value_ranges(
            (pixels(shown, strip) for shown in pictures for strip in strips), len(pictures), image, data
        )

        @lru_cache(maxsize=1)  # tiles of a plane are asked for one after the other
        def whole(index: int) -> Image:
            return plane_picture(pixels(pictures[index], Tile(0, 0, height, width)), ranges)

        def picture(index: int, tile: Tile) -> Image:
            if image.windowed:
                return plane_picture(pixels(pictures[index], tile), ranges)
            return whole(index)[tile.slices]

        plain = Plain(image.pixel_size, stacked="T" if series_axis(data) == "T" else "Z")
        yield Opened(height, width, len(pictures), picture, data.tile_size, data.tile_overlap, plain)
