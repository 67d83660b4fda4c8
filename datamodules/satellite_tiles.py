"""From a part of a scene to samples: its tiles one by one, their pixels as 0..255, and their objects."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.satellite_areas import Area
from adapt.datamodules.satellite_labels import Labels, Objects, tile_objects
from adapt.datamodules.source import Case
from adapt.formats import geotiff, to_uint8
from adapt.formats.extras import extra
from adapt.formats.georeference import metres_per_pixel
from adapt.formats.geotiff import Scene
from adapt.recipe import BandPercentile, BandRange, SatelliteData
from adapt.samples import Sample
from adapt.tiles import Tile, cut_by_border

with extra("satellite", reads="GeoTIFF"):
    from rasterio.io import DatasetReader


def read_case(area: Area, labels: Labels, tiles: Sequence[Tile], *, settings: SatelliteData) -> Case:
    """The tiles with objects of a part of a scene, made one by one as they are asked for.

    Raises:
        DataError: while they are made: the scene or the labels are damaged, or have values that are not named.
    """
    case = Case(samples=())
    case.samples = _samples(area, labels, tiles, settings, case)
    return case


def _samples(
    area: Area, labels: Labels, tiles: Sequence[Tile], settings: SatelliteData, case: Case
) -> Iterator[Sample]:
    with geotiff.open_geotiff(area.scene.path) as dataset, tile_objects(area.scene, labels, settings) as find:
        for tile in tiles:
            sample = _sample(area, tile, dataset, find, settings, case)
            if sample is None:
                case.empty_images += 1
            else:
                yield sample


def _sample(
    area: Area,
    tile: Tile,
    dataset: DatasetReader,
    find: Callable[[Tile], Objects],
    settings: SatelliteData,
    case: Case,
) -> Sample | None:
    """A tile with its objects, or None if it has none, or too few pixels; counts small objects in `case`."""
    scene = area.scene
    masks, categories = find(tile)
    if not len(masks):
        return None  # most of a scene may be like this: its pixels are not even read
    bands = geotiff.band_numbers(scene, settings.bands)
    values, valid = geotiff.read_window(dataset, tile, bands)
    if 1 - valid.mean() > settings.max_nodata:
        return None
    masks &= valid
    kept = masks.sum((1, 2)) >= settings.min_object_pixels
    case.small_objects += int(np.count_nonzero(~kept))
    cut = cut_by_border(masks, tile, height=scene.height, width=scene.width)
    if settings.cut_objects == "drop":
        kept &= ~cut
    if not kept.any():
        return None
    return Sample(
        image=window_picture(scene, bands, values, valid, settings),
        masks=masks[kept],
        categories=tuple(name for name, keep in zip(categories, kept, strict=True) if keep),
        group=area.group,
        spacing=metres_per_pixel(scene) if scene.georeferenced else (1.0, 1.0),
        spacing_unit="m" if scene.georeferenced else "px",
        sample_id=f"{scene.path.stem}/{tile.top:06d}_{tile.left:06d}",
        source=str(scene.path),
        cut=tuple(cut[kept].tolist()),
    )


def window_picture(
    scene: Scene,
    bands: tuple[int, ...],
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    settings: SatelliteData,
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of a tile of a scene; 0 where it has no value."""
    channels = [
        np.where(valid, to_uint8(np.where(valid, band, low), low=low, high=high), 0)
        for band, (low, high) in zip(values, _ranges(scene, bands, settings), strict=True)
    ]
    return np.stack(channels if len(channels) == 3 else channels * 3, axis=-1).astype(np.uint8)


def _ranges(scene: Scene, bands: tuple[int, ...], settings: SatelliteData) -> tuple[tuple[float, float], ...]:
    """Of each band, the values that become 0 and 255."""
    match settings.intensity:
        case BandRange(low=low, high=high):
            return ((low, high),) * len(bands)
        case BandPercentile(low=low, high=high):
            return _percentiles(scene, bands, low, high)
    if scene.dtype == "uint8":
        return ((0.0, 255.0),) * len(bands)
    usual = BandPercentile(kind="percentile")
    return _percentiles(scene, bands, usual.low, usual.high)


@lru_cache(maxsize=8)
def _percentiles(scene: Scene, bands: tuple[int, ...], low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Estimated once a process, for all cases of a scene."""
    with geotiff.open_geotiff(scene.path) as dataset:
        return tuple(geotiff.sampled_percentiles(dataset, bands, low=low, high=high))
