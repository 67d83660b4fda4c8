"""Scenes for prediction: windows of bands as the recipe's data section has them, and what lies where on the ground."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapt.datamodules.satellite_tiles import window_picture
from adapt.formats import geotiff
from adapt.predict.opened import Ground, Image, Opened
from adapt.recipe import SatelliteData
from adapt.tiles import Tile


@contextmanager
def open_scene(path: Path, data: SatelliteData) -> Iterator[Opened]:
    """A scene of any size, of which only windows are read.

    Raises:
        DataError: unreadable, or without the bands; while windows are read: damaged.
    """
    scene = geotiff.read_scene(path)
    bands = geotiff.band_numbers(scene, data.bands)
    with geotiff.open_geotiff(path) as dataset:

        def picture(_: int, tile: Tile) -> Image:
            values, valid = geotiff.read_window(dataset, tile, bands)
            return window_picture(scene, bands, values, valid, data)

        yield Opened(scene.height, scene.width, 1, picture, data.tile_size, data.tile_overlap, Ground(path))
