"""Microscopy: images with maps of instances, cut into planes and tiles, grouped by image or block of planes."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.microscopy_files import files_of, find_pairs, open_image, open_labels
from adapt.datamodules.objects import instance_objects, is_binary_mask
from adapt.datamodules.pairing import case_group
from adapt.datamodules.source import Case, Source
from adapt.errors import DataError
from adapt.formats import label_values, percentile_range, to_uint8
from adapt.formats.intensity import COUNTED
from adapt.formats.planes import PlaneStack, channel_indices, one_index
from adapt.recipe import MicroscopyData
from adapt.samples import Sample
from adapt.tiles import Tile, cut_by_border, tile_image

Planes = tuple[int, ...]
"""Places along Z that make up one picture: one, or all that are projected."""


def microscopy_source(settings: MicroscopyData, root: Path) -> Source:
    """Pairs of images and labels below a folder; see `find_pairs`.

    Raises:
        DataError: see `find_pairs`.
    """
    pairs, told = find_pairs(settings, root)
    return Source(
        inputs=sorted({file for pair in pairs.values() for path in pair for file in files_of(path)}),
        cases=[*told, *(partial(read_case, name, *pair, settings=settings) for name, pair in pairs.items())],
    )


def read_case(name: str, image_path: Path, label_path: Path, *, settings: MicroscopyData) -> Case:
    """One image: its planes and their tiles, read as they are asked for.

    Raises:
        DataError: a name without a group. As the samples are gone through: unreadable, image and labels that do not
            fit, a time, plane or channel that is not there or not chosen, or labels that are not instances.
    """
    case = Case(samples=())
    group = case_group(name, settings.group_pattern)
    case.samples = _samples(name, group, image_path, label_path, settings, case)
    return case


def _samples(
    name: str, group: str, image_path: Path, label_path: Path, settings: MicroscopyData, case: Case
) -> Iterator[Sample]:
    """Tiles with objects, one at a time; counts what is left out in `case`."""
    with open_image(image_path, settings) as image, open_labels(label_path, image, settings) as labels:
        time = one_index(image, "T", settings.time, key="data.time")
        channels = channel_indices(image, settings.channels)
        planes = {
            places: _group(group, places[0], settings)
            for places in _planes(image, labels, settings)
            if not _in_gap(places[0], settings)
        }

        @lru_cache(maxsize=1)  # an image of one plane is read once, for its percentiles and for its pixels
        def pixels(places: Planes) -> npt.NDArray[Any]:
            return np.stack([_projected(image, time, places, channel) for channel in channels], axis=-1)

        ranges = _ranges((pixels(places) for places in planes), len(planes), image, settings)
        for places, group_of_plane in planes.items():
            values = _label_values(labels, time, places)
            small = _without_small(values, settings.min_object_pixels)
            case.small_objects += small
            picture = _picture(pixels(places), ranges)
            place = f"/z{places[0]:04d}" if settings.z == "all" else ""
            tiles = tile_image(*image.size, size=settings.tile_size, overlap=settings.tile_overlap)
            for tile in tiles:
                masks, cut = _tile_objects(values, tile, settings)
                if not len(masks):
                    case.empty_images += 1
                    continue
                yield Sample(
                    image=picture[tile.slices],
                    masks=masks,
                    categories=(settings.category,) * len(masks),
                    group=group_of_plane,
                    spacing=image.pixel_size or labels.pixel_size or (1.0, 1.0),
                    spacing_unit="um" if image.pixel_size or labels.pixel_size else "px",
                    sample_id=f"{name}{place}" + (f"/y{tile.top:05d}_x{tile.left:05d}" if len(tiles) > 1 else ""),
                    source=str(image_path),
                    cut=cut,
                )


def _planes(image: PlaneStack, labels: PlaneStack, settings: MicroscopyData) -> list[Planes]:
    """The pictures of a stack.

    Raises:
        DataError: there are several planes and none is chosen, or the labels are not of the pictures.
    """
    count = image.length("Z")
    if settings.z == "max":
        if labels.length("Z") > 1:
            raise DataError(
                f"{labels.source}: has labels of {labels.length('Z')} planes, but data.z=max makes one picture of "
                "them; labels of the projection are needed, or data.z=all"
            )
        return [tuple(range(count))]
    if settings.z == "all":
        if labels.length("Z") != count:
            raise DataError(f"{labels.source}: has labels of one plane, but data.z=all reads {count}; set data.z")
        return [(place,) for place in range(count)]
    return [(one_index(image, "Z", settings.z, key="data.z"),)]


def _in_gap(plane: int, settings: MicroscopyData) -> bool:
    """Whether a plane lies between two blocks: it would show a bit of the objects of both."""
    if settings.split_by == "file":
        return False
    return plane % (settings.block_planes + settings.block_gap) >= settings.block_planes


def _group(image_group: str, plane: int, settings: MicroscopyData) -> str:
    """The image's group, or the block of the plane."""
    if settings.split_by == "file":
        return image_group
    return f"{image_group}/block_{plane // (settings.block_planes + settings.block_gap):03d}"


def _projected(image: PlaneStack, time: int, places: Planes, channel: int) -> npt.NDArray[Any]:
    """(H, W) values of one plane, or the greatest of several."""
    values = image.plane(time=time, z=places[0], channel=channel)
    for place in places[1:]:
        values = np.maximum(values, image.plane(time=time, z=place, channel=channel))
    return values


def _ranges(
    pictures: Iterator[npt.NDArray[Any]], count: int, image: PlaneStack, settings: MicroscopyData
) -> list[tuple[float, float]] | None:
    """The [low, high] of each channel over all pictures of an image, or None where values stay as they are.

    Raises:
        DataError: they cannot stay as they are.
    """
    if settings.intensity is None:
        if image.dtype != np.uint8:
            raise DataError(f"{image.source}: its pixels are {image.dtype}, so data.intensity is needed, not null")
        return None
    step = math.ceil(math.sqrt(max(count * math.prod(image.size) / COUNTED, 1)))
    found = []
    coloured = False
    for picture in pictures:
        found.append(picture[::step, ::step].reshape(-1, picture.shape[-1]))
        coloured |= bool((picture != picture[..., :1]).any())
    if image.colour and image.dtype == np.uint8 and coloured:
        return None
    values = np.concatenate(found)
    low, high = settings.intensity.low, settings.intensity.high
    return [percentile_range(channel, low=low, high=high) for channel in values.T]


def _picture(pixels: npt.NDArray[Any], ranges: Sequence[tuple[float, float]] | None) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of one channel three times, of two with the third empty, or of three."""
    channels = list(np.moveaxis(pixels, -1, 0))
    if ranges is not None:
        channels = [to_uint8(values, low=low, high=high) for values, (low, high) in zip(channels, ranges, strict=True)]
    if len(channels) == 1:
        channels *= 3
    elif len(channels) == 2:
        channels.append(np.zeros_like(channels[0]))
    return np.stack(channels, axis=-1)


def _label_values(labels: PlaneStack, time: int, places: Planes) -> npt.NDArray[np.integer]:
    """(H, W) label values of a plane, a copy; labels of one time or one plane serve for the chosen one.

    Raises:
        DataError: values are not whole or below 0, or they are a mask and not instances.
    """
    stored = labels.plane(time=time if labels.length("T") > 1 else 0, z=places[0] if labels.length("Z") > 1 else 0)
    values = label_values(stored, source=labels.source)
    if is_binary_mask(values):
        raise DataError(
            f"{labels.source}: is a mask of 0 and 255 with several regions, not a map in which each object has a value "
            "of its own; give each region one (Fiji: Analyze, Analyze Particles, Count Masks), or use data.kind=folder"
        )
    return values.copy()


def _without_small(values: npt.NDArray[np.integer], least: int) -> int:
    """Make background of objects with fewer pixels, once for all tiles; returns how many they were."""
    present, pixels = np.unique(values, return_counts=True)
    small = present[(pixels < least) & (present != 0)]
    if len(small):
        values[np.isin(values, small)] = 0
    return len(small)


def _tile_objects(
    values: npt.NDArray[np.integer], tile: Tile, settings: MicroscopyData
) -> tuple[npt.NDArray[np.bool_], tuple[bool, ...]]:
    """(N, h, w) masks of a tile, and which of them its border cuts; pieces that are too small are left out."""
    masks, _, _ = instance_objects(values[tile.slices], min_pixels=settings.min_object_pixels)
    height, width = values.shape
    cut = cut_by_border(masks, tile, height=height, width=width)
    kept = ~cut if settings.cut_objects == "drop" else np.ones_like(cut)
    return masks[kept], tuple(cut[kept].tolist())
