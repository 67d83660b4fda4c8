"""OME-Zarr 0.4 and 0.5 images and labels in a local folder, by zarr; planes are read one at a time."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats.extras import extra
from adapt.formats.planes import PlaneReader, PlaneStack, array_reader, known_axes, micrometres, refuse_large

with extra("microscopy", reads="OME-Zarr"):
    import zarr

VERSIONS = ("0.4", "0.5")
BLOSC_HEADER, BLOSC_LENGTH = 16, slice(12, 16)
"""Bytes of a compressed chunk's header, and those of its length in it."""


@contextmanager
def _errors_are_raised(folder: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # damaged metadata and chunks make zarr and its codecs raise nearly anything
        raise DataError(f"{folder}: cannot be read as OME-Zarr ({error}); copy it again, or save it anew") from error


def open_ome_zarr(
    folder: Path, *, level: int, max_pixels: int, axes: str | None = None, fill_missing: bool = False
) -> PlaneStack:
    """The image of an OME-Zarr folder at one level of its pyramid.

    Args:
        folder: that holds the image's group.
        level: 0 is the finest.
        max_pixels: of a plane; larger ones are refused by their metadata.
        axes: one letter a dimension, in place of what the metadata say.
        fill_missing: read chunks without a file as the fill value, as zarr does, instead of refusing them.

    Raises:
        DataError: missing, damaged, another version, a plate or collection, without this level, too large.
    """
    with _errors_are_raised(folder):
        group, metadata = _open(folder)
        datasets = metadata["multiscales"][0]["datasets"]
        if level >= len(datasets):
            count = len(datasets)
            has = f"{count} levels; set data.level=0 to {count - 1}" if count > 1 else "one level; set data.level=0"
            raise DataError(f"{folder}: has {has}")
        return _stack(folder, group, metadata, level, max_pixels=max_pixels, wanted=axes, fill_missing=fill_missing)


def open_ome_zarr_labels(folder: Path, *, size: tuple[int, int], max_pixels: int) -> PlaneStack:
    """Labels in an OME-Zarr folder, at the level whose planes have this size.

    A chunk without a file is background: nothing need be stored where nothing is labelled.

    Args:
        folder: of the labels, such as `image.zarr/labels/nuclei`.
        size: rows and columns of the image.
        max_pixels: as in `open_ome_zarr`.

    Raises:
        DataError: as in `open_ome_zarr`; or no level has this size.
    """
    if not folder.is_dir() and folder.parent.is_dir():
        there = ", ".join(sorted(path.name for path in folder.parent.iterdir() if path.is_dir())) or "none"
        raise DataError(f"{folder}: no such labels; the image has: {there}. Set data.label_name")
    with _errors_are_raised(folder):
        group, metadata = _open(folder)
        count = len(metadata["multiscales"][0]["datasets"])
        levels = [
            _stack(folder, group, metadata, level, max_pixels=max_pixels, wanted=None, fill_missing=True)
            for level in range(count)
        ]
    for stack in levels:
        if stack.size == size:
            return stack
    sizes = ", ".join(str(stack.size) for stack in levels)
    raise DataError(f"{folder}: shapes differ: image {size}, label {sizes} (rows, columns); both must show the same")


def _open(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The group of an image and its OME metadata, of either version."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    group = zarr.open_group(folder, mode="r")
    attributes = dict(group.attrs)
    metadata = attributes.get("ome", attributes)  # 0.5 has them under a key of its own
    if not metadata.get("multiscales"):
        raise DataError(
            f"{folder}: holds no image (multiscales); of a plate or a collection of images, give each image, such as "
            f"{folder.name}/0, as a folder that ends in .zarr"
        )
    scales = metadata["multiscales"][0]
    version = str(metadata.get("version", scales.get("version", VERSIONS[0])))
    if version not in VERSIONS:
        raise DataError(f"{folder}: is OME-Zarr {version}; {' and '.join(VERSIONS)} are read. Convert it")
    return group, metadata


def _stack(
    folder: Path,
    group: Any,  # noqa: ANN401 - a zarr Group
    metadata: dict[str, Any],
    level: int,
    *,
    max_pixels: int,
    wanted: str | None,
    fill_missing: bool,
) -> PlaneStack:
    scales = metadata["multiscales"][0]
    dataset = scales["datasets"][level]
    array = group[dataset["path"]]
    if array.dtype.kind not in "buif":
        raise DataError(f"{folder}: its pixels are {array.dtype}, not one real number each; convert it")
    named = [str(axis["name"]) for axis in scales["axes"]]
    if len(named) != array.ndim:
        raise DataError(f"{folder}: names {len(named)} axes for an array of {array.ndim}; save it anew")
    letters = "".join(name.upper() if len(name) == 1 else "?" for name in named)
    axes = known_axes(letters, array.shape, wanted=wanted, source=folder)
    rows, columns = axes.index("Y"), axes.index("X")
    refuse_large(
        folder,
        size=(array.shape[rows], array.shape[columns]),
        decoded=math.prod(array.chunks),
        max_pixels=max_pixels,
    )
    scale = np.prod([_scale(dataset, array.ndim), _scale(scales, array.ndim)], axis=0)
    units = [str(axis.get("unit", "")) for axis in scales["axes"]]
    row, column = (micrometres(float(scale[axis]), units[axis]) for axis in (rows, columns))
    return PlaneStack(
        source=folder,
        axes=axes,
        shape=tuple(array.shape),
        dtype=np.dtype(array.dtype),
        read=_reader(array, axes, folder / dataset["path"], fill_missing=fill_missing),
        channel_names=_channel_names(metadata),
        pixel_size=None if row is None or column is None else (row, column),
        windowed=array.chunks[rows] < array.shape[rows] or array.chunks[columns] < array.shape[columns],
    )


def _codecs(array: Any) -> set[str]:  # noqa: ANN401 - a zarr Array
    """Names of what chunks are filtered and compressed with."""
    codecs = [*array.filters, *array.compressors]
    return {str(getattr(codec, "codec_id", None) or codec.to_dict()["name"]) for codec in codecs}


def _scale(holder: dict[str, Any], dimensions: int) -> npt.NDArray[np.float64]:
    """The factors of a list of transformations; ones if it has none."""
    for step in holder.get("coordinateTransformations", []):
        if step["type"] == "scale":
            factors = np.array(step["scale"], dtype=float)
            if factors.shape != (dimensions,):
                raise ValueError(f"a scale of {factors.size} numbers for {dimensions} axes")
            return factors
    return np.ones(dimensions)


def _channel_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    channels = (metadata.get("omero") or {}).get("channels") or []
    names = tuple(str(channel.get("label", "")) for channel in channels)
    return names if any(names) else ()


def _reader(array: Any, axes: str, folder: Path, *, fill_missing: bool) -> PlaneReader:  # noqa: ANN401 - a zarr Array
    read = array_reader(array, axes)

    def checked(index: Mapping[str, int | slice]) -> npt.NDArray[Any]:
        keys = _chunk_keys(array, axes, index)
        missing = [key for key in keys if not (folder / key).is_file()]
        if missing and not fill_missing:
            raise DataError(
                f"{folder}: {len(missing)} of {len(keys)} chunks of a plane are missing, the first is {missing[0]}; "
                "zarr would show them empty. Copy the image again; if they are empty on purpose, set "
                "data.missing_chunks=fill"
            )
        if array.shards is None and "blosc" in _codecs(array):
            _refuse_cut_blosc([folder / key for key in keys if key not in missing])
        with _errors_are_raised(folder):
            return read(index)

    return checked


def _chunk_keys(array: Any, axes: str, index: Mapping[str, int | slice]) -> list[str]:  # noqa: ANN401 - a zarr Array
    """Of the files that hold a plane or a window, relative to the array; where there are shards, a file is one."""
    places = [
        _steps(index.get(axis, slice(0, length)), step)
        for axis, length, step in zip(axes, array.shape, array.shards or array.chunks, strict=True)
    ]
    return [array.metadata.encode_chunk_key(place) for place in product(*places)]


def _steps(wanted: int | slice, step: int) -> range:
    """Numbers of the steps of a length in which a place or a stretch of places lies."""
    first, stop = (wanted.start, wanted.stop) if isinstance(wanted, slice) else (wanted, wanted + 1)
    return range(first // step, -(-stop // step))


def _refuse_cut_blosc(chunks: Sequence[Path]) -> None:
    """Check that chunks are as long as their headers say; numcodecs would decode what lies behind in memory."""
    for path in chunks:
        with path.open("rb") as file:
            header = file.read(BLOSC_HEADER)
        told = int.from_bytes(header[BLOSC_LENGTH], "little")
        if len(header) < BLOSC_HEADER or told != path.stat().st_size:
            raise DataError(f"{path}: is cut short or damaged; copy the image again")
