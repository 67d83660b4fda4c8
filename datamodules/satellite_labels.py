"""The objects of a tile: polygons drawn on it, or a window of a label raster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import label_map_objects
from adapt.errors import DataError
from adapt.formats import label_values
from adapt.formats.extras import extra
from adapt.formats.georeference import EDGE_PARTS, Geometries, outline, reproject, to_ground, to_pixels
from adapt.formats.geotiff import Scene, open_geotiff, read_window
from adapt.formats.polygons import draw_polygons
from adapt.formats.vectors import Polygons, VectorLayer, read_polygons
from adapt.recipe import SatelliteData
from adapt.tiles import Tile

with extra("satellite", reads="GeoTIFF"):
    import shapely
    from rasterio.io import DatasetReader

SHIFT = 0.5
"""A label raster must lie on its scene to within this part of a pixel."""

Objects = tuple[npt.NDArray[np.bool_], tuple[str, ...]]
"""(N, H, W) masks and N categories."""


@dataclass(frozen=True)
class LabelRaster:
    """A GeoTIFF of label values on the pixels of a scene."""

    path: Path


Labels = VectorLayer | LabelRaster


@contextmanager
def tile_objects(scene: Scene, labels: Labels, settings: SatelliteData) -> Iterator[Callable[[Tile], Objects]]:
    """What finds the objects of a tile of a scene.

    Raises:
        DataError: the labels cannot be read, or have values that are not named.
    """
    if isinstance(labels, VectorLayer):
        placed, names, tree = _on_scene(scene, labels)

        def drawn(tile: Tile) -> Objects:
            corner = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
            inside = np.sort(tree.query(shapely.box(*corner), predicate="intersects"))
            return draw_polygons(placed[inside], tile), tuple(names[i] or settings.category for i in inside)

        yield drawn
    else:
        with open_geotiff(labels.path) as dataset:
            yield lambda tile: _raster_objects(dataset, tile, labels.path, settings)


@lru_cache(maxsize=1)
def _polygons(layer: VectorLayer) -> tuple[Polygons, shapely.STRtree]:
    """Read once a process, however many scenes one file is for."""
    polygons = read_polygons(layer)
    return polygons, shapely.STRtree(polygons.geometries)


@lru_cache(maxsize=2)
def _on_scene(scene: Scene, layer: VectorLayer) -> tuple[Geometries, tuple[str | None, ...], shapely.STRtree]:
    """Polygons near a scene in its pixels, their categories, and a tree to find those of a tile."""
    polygons, tree = _polygons(layer)
    border = outline(scene, layer.crs)
    near = np.sort(tree.query(shapely.box(*border.bounds)))
    found = polygons.geometries[near]
    if layer.crs != scene.crs:  # a straight edge of kilometres is an arc in another CRS
        left, bottom, right, top = border.bounds
        found = shapely.segmentize(found, max(right - left, top - bottom) / EDGE_PARTS)
    placed = to_pixels(reproject(found, layer.crs, scene.crs), scene)
    return placed, tuple(polygons.categories[i] for i in near), shapely.STRtree(placed)


def _raster_objects(dataset: DatasetReader, tile: Tile, path: Path, settings: SatelliteData) -> Objects:
    values, valid = read_window(dataset, tile, [1])
    labels = label_values(np.where(valid, values[0], 0), source=path)
    masks, categories, _ = label_map_objects(
        labels, settings, min_pixels=1, source=path
    )  # what lies under no value goes first
    return masks, categories


def refuse_unlike(scene: Scene, labels: Scene) -> None:
    """Check that a label raster lies on the pixels of its scene; one without a place is taken to.

    Raises:
        DataError: it has several bands, another size or another place.
    """
    remedy = "resample the labels to the scene with nearest neighbour (gdalwarp -r near)"
    if len(labels.colours) != 1:
        raise DataError(f"{labels.path}: a label raster has one band, this one has {len(labels.colours)}")
    if (scene.height, scene.width) != (labels.height, labels.width):
        raise DataError(
            f"{labels.path}: is {(labels.height, labels.width)}, {scene.path} is {(scene.height, scene.width)} "
            f"(rows, columns); {remedy}"
        )
    if not (scene.georeferenced and labels.georeferenced):
        return
    if scene.crs != labels.crs:
        raise DataError(f"{labels.path}: is in {labels.crs}, {scene.path} in {scene.crs}; {remedy}")
    corners = np.array([shapely.Point(0, 0), shapely.Point(scene.width, scene.height)], dtype=object)
    there = shapely.get_coordinates(to_pixels(to_ground(corners, labels), scene))
    shift = float(np.abs(there - shapely.get_coordinates(corners)).max())
    if shift > SHIFT:
        raise DataError(f"{labels.path}: lies up to {shift:.1f} pixels beside {scene.path}; {remedy}")
