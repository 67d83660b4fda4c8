"""Satellite and aerial scenes: GeoTIFF with footprints or label rasters, cut into tiles, grouped by place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.datamodules.pairing import by_name, case_group, existing_folder, files_ending, paired, refuse
from adapt.datamodules.satellite_areas import Area, block_areas, scene_areas
from adapt.datamodules.satellite_labels import LabelRaster, Labels, refuse_unlike
from adapt.datamodules.satellite_tiles import read_case
from adapt.datamodules.source import Case, Source
from adapt.errors import DataError
from adapt.formats import geotiff, vectors
from adapt.formats.georeference import outline
from adapt.formats.geotiff import Scene
from adapt.formats.vectors import VectorLayer
from adapt.recipe import SatelliteData
from adapt.tiles import Tile, tile_image

CASE_TILES = 64
"""Tiles of a case: enough to be worth a process, few enough to be shared among several."""
VECTORS = tuple(vectors.FIRST_BYTES)


def satellite_source(settings: SatelliteData, root: Path) -> Source:
    """Scenes below a folder with their footprints or label rasters; only headers are read.

    A scene that cannot be used is a case that says why, so that the others can still be prepared.

    Raises:
        DataError: a folder is missing or empty, a scene or label has no partner, the footprints of all scenes
            cannot be used or lie elsewhere, or scenes overlap that are to be cut into blocks.
    """
    images = _by_stem(existing_folder(root, settings.image_folder, "data.image_folder"), geotiff.SUFFIXES)
    paths, shared = _label_paths(images, root, settings)
    kinds = f"{', '.join(geotiff.SUFFIXES)} files"
    names, told = paired(images, paths, root, kinds=kinds, on_error=settings.on_error)
    _refuse_unread(settings, paths)
    common = _layer(paths[min(paths)], settings) if shared else None
    labels: dict[Scene, Labels] = {}
    unusable: list[str] = []
    inputs: set[Path] = set()
    for name in names:
        inputs |= {images[name], *_files_of(paths[name])}
        try:
            scene, found = _matched(images[name], paths[name], common, settings)
        except DataError as error:
            unusable.append(str(error))
        else:
            labels[scene] = found
            inputs |= set(scene.files)
    labelled = set(labels if common is None else _with_features(list(labels), common))
    return Source(
        inputs=sorted(inputs),
        cases=[
            *told,
            *(partial(refuse, message) for message in unusable),
            *(partial(Case, samples=(), unlabelled=str(scene.path)) for scene in labels if scene not in labelled),
            *(
                partial(read_case, area, labels[area.scene], tiles, settings=settings)
                for area in _areas(list(labels), settings)
                if area.scene in labelled
                for tiles in _tiles(area.part, settings)
            ),
        ],
    )


def _by_stem(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    return by_name(((path.stem, path) for path in files_ending(folder, endings)), folder)


def _label_paths(images: Mapping[str, Path], root: Path, settings: SatelliteData) -> tuple[dict[str, Path], bool]:
    """Name of a scene to its label file, and whether one file is for all scenes."""
    place = root / settings.label_path
    if place.is_file():
        return dict.fromkeys(images, place), True
    if _is_vector(place) and not place.is_dir():
        raise DataError(f"data.label_path: no file {place}; correct it, or name a folder")
    found = _by_stem(existing_folder(root, settings.label_path, "data.label_path"), (*VECTORS, *geotiff.SUFFIXES))
    single = next(iter(found.values())) if len(found) == 1 else None
    if single is not None and _is_vector(single):
        return dict.fromkeys(images, single), True
    return found, False


def _is_vector(path: Path) -> bool:
    return path.suffix.lower() in VECTORS


def _refuse_unread(settings: SatelliteData, paths: Mapping[str, Path]) -> None:
    """Settings of labels that are not there are most likely a mistake."""
    vector = any(_is_vector(path) for path in paths.values())
    raster = not all(_is_vector(path) for path in paths.values())
    if settings.labels and not raster:
        raise DataError(
            "data.labels are values of label rasters, but the labels are vector files; set data.category_column"
        )
    for key in ("layer", "label_crs", "category_column"):
        if getattr(settings, key) is not None and not vector:
            raise DataError(f"data.{key} is read of vector labels, but the labels are rasters; set it to null")


def _layer(path: Path, settings: SatelliteData) -> VectorLayer:
    return vectors.find_layer(path, layer=settings.layer, column=settings.category_column, crs=settings.label_crs)


def _files_of(path: Path) -> list[Path]:
    return vectors.vector_files(path) if _is_vector(path) else [path]


def _matched(image: Path, path: Path, common: VectorLayer | None, settings: SatelliteData) -> tuple[Scene, Labels]:
    """A scene and its labels, all checked that the headers tell."""
    scene = geotiff.read_scene(image)
    geotiff.band_numbers(scene, settings.bands)
    case_group(image.stem, settings.group_pattern)
    if common is None and not _is_vector(path):
        refuse_unlike(scene, geotiff.read_scene(path))
        return scene, LabelRaster(path)
    if not scene.georeferenced:
        raise DataError(
            f"{image}: names no coordinate reference system, or no place in it, so footprints cannot be laid on it; "
            "set them with gdal_edit.py -a_srs and -a_ullr, or give a label raster of the same size"
        )
    if common is not None:
        return scene, common
    layer = _layer(path, settings)
    _with_features([scene], layer)
    return scene, layer


def _with_features(scenes: Sequence[Scene], layer: VectorLayer) -> list[Scene]:
    """The scenes that a feature lies on, by its bounding box.

    Raises:
        DataError: there are features, and none lies on a scene.
    """
    if not scenes:
        return []
    features = vectors.feature_bounds(layer)
    borders = np.array([outline(scene, layer.crs).bounds for scene in scenes])
    found = [
        scene
        for scene, (left, bottom, right, top) in zip(scenes, borders, strict=True)
        if ((features[:, :2] <= (right, top)) & (features[:, 2:] >= (left, bottom))).all(1).any()
    ]
    if len(features) and not found:
        extents = " and ".join(
            f"{what} from ({x:.6g}, {y:.6g}) to ({u:.6g}, {v:.6g})"
            for what, (x, y, u, v) in (("features", _extent(features)), ("scenes", _extent(borders)))
        )
        raise DataError(
            f"{layer.path}: no feature lies on {'a scene' if len(scenes) > 1 else scenes[0].path}; in "
            f"{layer.crs.to_string()} are {extents}. A mixed-up CRS is the usual cause: set data.label_crs"
        )
    return found


def _extent(bounds: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return (*bounds[:, :2].min(0).tolist(), *bounds[:, 2:].max(0).tolist())


def _areas(scenes: Sequence[Scene], settings: SatelliteData) -> list[Area]:
    if settings.split_by == "block":
        return block_areas(scenes, size=settings.block_size)
    areas = scene_areas(scenes)
    if settings.group_pattern is None:
        return areas
    return [replace(area, group=case_group(area.scene.path.stem, settings.group_pattern)) for area in areas]


def _tiles(part: Tile, settings: SatelliteData) -> Iterator[list[Tile]]:
    """The tiles of a part of a scene, a case at a time, row by row: blocks of the file are then decoded once."""
    tiles = tile_image(part.height, part.width, size=settings.tile_size, overlap=settings.tile_overlap)
    placed = [replace(tile, top=tile.top + part.top, left=tile.left + part.left) for tile in tiles]
    for first in range(0, len(placed), CASE_TILES):
        yield placed[first : first + CASE_TILES]
