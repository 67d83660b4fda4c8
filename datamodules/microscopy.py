"""Microscopy: images with maps of instances, cut into planes, frames and tiles, grouped by image or by block."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.microscopy_files import files_of, find_pairs, open_image, open_labels
from adapt.datamodules.microscopy_pictures import Picture, pictures_of, refuse_other_pictures
from adapt.datamodules.objects import instance_objects, is_binary_mask
from adapt.datamodules.pairing import case_group
from adapt.datamodules.source import Case, Source
from adapt.datamodules.tracks import numbered_through
from adapt.errors import DataError
from adapt.formats import label_values, percentile_range, to_uint8
from adapt.formats.intensity import COUNTED
from adapt.formats.planes import PlaneStack, channel_indices
from adapt.recipe import MicroscopyData
from adapt.samples import Sample
from adapt.tiles import Tile, cut_by_border, tile_image


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
    """One image: its planes or frames and their tiles, read as they are asked for.

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
        channels = channel_indices(image, settings.channels)
        groups = {
            picture: _group(group, picture, settings)
            for picture in pictures_of(image, settings)
            if not _in_gap(picture, settings)
        }
        refuse_other_pictures(labels, image, settings)

        @lru_cache(maxsize=1)  # an image of one plane is read once, for its percentiles and for its pixels
        def pixels(picture: Picture) -> npt.NDArray[Any]:
            return np.stack([projected(image, picture, channel) for channel in channels], axis=-1)

        ranges = value_ranges((pixels(picture) for picture in groups), len(groups), image, settings)
        tiles = tile_image(*image.size, size=settings.tile_size, overlap=settings.tile_overlap)
        for (picture, of_group), values in zip(groups.items(), _label_maps(labels, groups, settings), strict=True):
            case.small_objects += _without_small(values, settings.min_object_pixels)
            shown = plane_picture(pixels(picture), ranges)
            for tile in tiles:
                masks, numbers, cut = _tile_objects(values, tile, settings)
                if not len(masks):
                    case.empty_images += 1
                    continue
                of_tile = f"/y{tile.top:05d}_x{tile.left:05d}" if len(tiles) > 1 else ""
                yield Sample(
                    image=shown[tile.slices],
                    masks=masks,
                    categories=(settings.category,) * len(masks),
                    group=of_group,
                    spacing=image.pixel_size or labels.pixel_size or (1.0, 1.0),
                    spacing_unit="um" if image.pixel_size or labels.pixel_size else "px",
                    sample_id=f"{name}{picture.name}{of_tile}",
                    source=str(image_path),
                    cut=cut,
                    slice_of=None if picture.place is None else (f"{name}{of_tile}", picture.place, None),
                    tracks=() if picture.place is None else numbers,
                )


def _in_gap(picture: Picture, settings: MicroscopyData) -> bool:
    """Whether a picture lies between two blocks: it would show a bit of the objects of both."""
    if settings.split_by == "file" or picture.place is None:
        return False
    return picture.place % (settings.block_planes + settings.block_gap) >= settings.block_planes


def _group(image_group: str, picture: Picture, settings: MicroscopyData) -> str:
    """The image's group, or the block of the picture."""
    if settings.split_by == "file" or picture.place is None:
        return image_group
    return f"{image_group}/block_{picture.place // (settings.block_planes + settings.block_gap):03d}"


def projected(
    image: PlaneStack, picture: Picture, channel: int, *, window: tuple[slice, slice] | None = None
) -> npt.NDArray[Any]:
    """(H, W) values of one plane, or the greatest of several; of the whole, or of a window of it."""
    values = [image.plane(time=picture.time, z=place, channel=channel, window=window) for place in picture.planes]
    return values[0] if len(values) == 1 else np.maximum.reduce(values)


def counted_step(image: PlaneStack, count: int) -> int:
    """Of the pixels of so many pictures of an image, every how manieth row and column counts for its ranges."""
    return math.ceil(math.sqrt(max(count * math.prod(image.size) / COUNTED, 1)))


def value_ranges(
    pictures: Iterator[npt.NDArray[Any]], count: int, image: PlaneStack, settings: MicroscopyData
) -> list[tuple[float, float]] | None:
    """The [low, high] of each channel over all pictures of an image, or None where values stay as they are.

    Args:
        pictures: (H, W, C) each, whole or in strips, whose heights are multiples of `counted_step`.
        count: how many pictures, each whole.
        image: of which they are.
        settings: of the recipe.

    Raises:
        DataError: they cannot stay as they are.
    """
    if settings.intensity is None:
        if image.dtype != np.uint8:
            raise DataError(f"{image.source}: its pixels are {image.dtype}, so data.intensity is needed, not null")
        return None
    step = counted_step(image, count)
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


def plane_picture(pixels: npt.NDArray[Any], ranges: Sequence[tuple[float, float]] | None) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of one channel three times, of two with the third empty, or of three."""
    channels = list(np.moveaxis(pixels, -1, 0))
    if ranges is not None:
        channels = [to_uint8(values, low=low, high=high) for values, (low, high) in zip(channels, ranges, strict=True)]
    if len(channels) == 1:
        channels *= 3
    elif len(channels) == 2:
        channels.append(np.zeros_like(channels[0]))
    return np.stack(channels, axis=-1)


def read_label_maps(image_path: Path, label_path: Path, settings: MicroscopyData) -> npt.NDArray[np.integer]:
    """(pictures, H, W) label values of all pictures of an image, in which an object of a series has one value.

    Raises:
        DataError: see `read_case`.
    """
    with open_image(image_path, settings) as image, open_labels(label_path, image, settings) as labels:
        pictures = pictures_of(image, settings)
        refuse_other_pictures(labels, image, settings)
        return np.stack(list(_label_maps(labels, pictures, settings)))


def _label_maps(
    labels: PlaneStack, pictures: Iterable[Picture], settings: MicroscopyData
) -> Iterator[npt.NDArray[np.integer]]:
    """(H, W) label values of each picture, copies; of a series the objects are linked where values do not say it."""
    maps = (_label_values(labels, picture) for picture in pictures)
    return numbered_through(maps) if settings.tracks == "overlap" else maps


def _label_values(labels: PlaneStack, picture: Picture) -> npt.NDArray[np.integer]:
    """(H, W) label values of a picture, a copy; labels of one time or one plane serve for the chosen one.

    Raises:
        DataError: values are not whole or below 0, or they are a mask and not instances.
    """
    stored = labels.plane(
        time=picture.time if labels.length("T") > 1 else 0, z=picture.planes[0] if labels.length("Z") > 1 else 0
    )
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
) -> tuple[npt.NDArray[np.bool_], tuple[int, ...], tuple[bool, ...]]:
    """(N, h, w) masks of a tile, their values, and which its border cuts; pieces that are too small are left out."""
    masks, numbers, _ = instance_objects(values[tile.slices], min_pixels=settings.min_object_pixels)
    height, width = values.shape
    cut = cut_by_border(masks, tile, height=height, width=width)
    kept = ~cut if settings.cut_objects == "drop" else np.ones_like(cut)
    return masks[kept], tuple(numbers[kept].tolist()), tuple(cut[kept].tolist())
