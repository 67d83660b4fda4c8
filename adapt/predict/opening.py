"""Opening an input: its pixels as the recipe's data section has them, whatever its format."""

from collections.abc import Iterator
from contextlib import contextmanager

from adapt.datamodules.medical import PLANES, slice_picture, windows_of
from adapt.datamodules.volume_reading import read_scan
from adapt.formats import Volume, read_image
from adapt.predict.inputs import Input
from adapt.predict.opened import Image, Opened, Scan, whole_image
from adapt.recipe import DataSettings, MedicalData, MicroscopyData, SatelliteData
from adapt.tiles import Tile

MAX_PIXELS = 100_000_000
"""Of a picture for a recipe whose images are drawn, not read, and so names no limit."""


@contextmanager
def open_input(one: Input, data: DataSettings) -> Iterator[Opened]:
    """An input, read as the data section says.

    Raises:
        DataError: it cannot be read, is too large, or lacks a channel, a band or a plane.
    """
    match data:
        case MedicalData():
            yield open_volume(read_scan(one.path, data), data)
        case SatelliteData():
            from adapt.predict.scenes import open_scene  # needs an extra

            with open_scene(one.path, data) as opened:
                yield opened
        case MicroscopyData():
            from adapt.predict.planes import open_planes  # needs an extra

            with open_planes(one.path, data) as opened:
                yield opened
        case _:
            yield whole_image(read_image(one.path, max_pixels=getattr(data, "max_image_pixels", MAX_PIXELS)))


def open_volume(volume: Volume, data: MedicalData) -> Opened:
    """The slices of a volume that has been read; of several times, each slice is a series of frames."""
    axis = PLANES[data.plane]
    windows = windows_of(volume, data.intensity)
    height, width = (length for place, length in enumerate(volume.size) if place != axis)
    slices, frames = volume.size[axis], volume.frames

    def picture(index: int, tile: Tile) -> Image:
        of_slice, time = divmod(index, len(frames))
        near = data.channels == "neighbours"
        return slice_picture(frames[time], axis, of_slice, windows, neighbours=near)[tile.slices]

    series = 1 if volume.clock is None else slices
    return Opened(height, width, slices * len(frames), picture, None, 0, Scan(volume, axis), series)
