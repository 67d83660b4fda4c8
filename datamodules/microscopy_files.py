"""Which microscopy files belong together, and how each is opened."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from adapt.datamodules.objects import refuse_other_size
from adapt.datamodules.pairing import by_name, existing_folder, files_below, paired, side_by_side, stripped
from adapt.datamodules.source import Case
from adapt.errors import DataError
from adapt.formats import read_image, read_label_map
from adapt.formats.ome_zarr import open_ome_zarr, open_ome_zarr_labels
from adapt.formats.planes import PlaneStack, array_reader
from adapt.formats.tiff import open_tiff
from adapt.recipe import MicroscopyData
from adapt.wording import counted

FILE = re.compile(r"(?P<name>.+?)(?:\.ome)?\.(?P<format>tiff?|png|jpe?g|zarr)", re.IGNORECASE)
KINDS = ".tif, .tiff, .png, .jpg, .jpeg files and .zarr folders"
CELLPOSE_RESULTS = ("_flows", "_outlines", "_cp_output")
"""What names of pictures end in that Cellpose writes beside the images."""


def find_pairs(settings: MicroscopyData, root: Path) -> tuple[dict[str, tuple[Path, Path]], list[Callable[[], Case]]]:
    """Name of each case to its image and its labels, and a case for each that has no partner and is skipped.

    Images and labels are files, or folders that end in .zarr.

    Raises:
        DataError: a folder is missing or empty, two files have one name, an image or label has no partner (all are
            listed), or the labels are there in Cellpose's `_seg.npy` only.
    """
    images_below = existing_folder(root, settings.image_folder, "data.image_folder")
    if settings.label_name is not None:
        images = _files(images_below, settings.image_suffix)
        others = [path.name for path in images.values() if path.suffix.lower() != ".zarr"]
        if others:
            raise DataError(
                f"{images_below}: data.label_name reads labels inside .zarr folders, but there is {others[0]}"
            )
        _, told = paired(images, images, root, kinds=".zarr folders", on_error=settings.on_error)
        return {name: (path, path / "labels" / settings.label_name) for name, path in images.items()}, told
    labels_below = existing_folder(root, settings.label_folder, "data.label_folder")
    shared = side_by_side(images_below, labels_below, settings.image_suffix, settings.label_suffix)
    labels = _files(labels_below, settings.label_suffix, without=(settings.image_suffix,) if shared else ())
    images = _files(
        images_below, settings.image_suffix, without=(settings.label_suffix, *CELLPOSE_RESULTS) if shared else ()
    )
    _refuse_pickles(images, labels, labels_below, settings)
    if images and not labels:
        ending = f", whose name ends in data.label_suffix={settings.label_suffix}," if settings.label_suffix else ""
        raise DataError(f"{labels_below}: no label{ending} is in data.label_folder; {KINDS} are read")
    names, told = paired(images, labels, root, kinds=KINDS, on_error=settings.on_error, suffixes=True)
    return {name: (images[name], labels[name]) for name in names}, told


def _files(folder: Path, suffix: str, *, without: tuple[str, ...] = ()) -> dict[str, Path]:
    """Name without suffix to each file whose name has the suffix, and none of the others that are longer."""
    return by_name(_named(folder, suffix, without), folder)


def _named(folder: Path, suffix: str, without: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        match = FILE.fullmatch(path.name)
        if match is None or path.name.startswith(".") or path.is_dir() != (match["format"].lower() == "zarr"):
            continue
        name = stripped(match["name"], suffix, others=without)
        if name is not None:
            yield name, path


def _refuse_pickles(images: dict[str, Path], labels: dict[str, Path], folder: Path, settings: MicroscopyData) -> None:
    """Cellpose's own format is a Python pickle, which may run programs when it is opened."""
    lonely = [path for name, path in images.items() if name not in labels]
    pickles = [
        path
        for image in lonely
        for path in (folder / f"{image.stem}_seg.npy", image.with_name(f"{image.stem}_seg.npy"))
        if path.is_file()
    ]
    if pickles:
        raise DataError(
            f"{pickles[0]}: the masks of {counted(len(lonely), 'image')} are Cellpose's _seg.npy, a Python pickle, "
            "which may run programs and is not opened. In Cellpose choose File, Save masks as PNG/tif, and set "
            "data.label_suffix=_cp_masks"
        )


def files_of(path: Path) -> list[Path]:
    """The file itself, or every file below a folder; none of what is missing, which reading the case tells."""
    return [path] if path.is_file() else files_below(path)


@contextmanager
def open_image(path: Path, settings: MicroscopyData) -> Iterator[PlaneStack]:
    """An image of any format.

    Raises:
        DataError: it cannot be read, or is too large.
    """
    limit, suffix = settings.max_image_pixels, path.suffix.lower()
    if suffix == ".zarr":
        fill = settings.missing_chunks == "fill"
        yield open_ome_zarr(path, level=settings.level, max_pixels=limit, axes=settings.axes, fill_missing=fill)
    elif suffix in (".tif", ".tiff"):
        with open_tiff(path, max_pixels=limit, axes=settings.axes) as stack:
            yield stack
    else:
        pixels = read_image(path, max_pixels=limit)
        read = array_reader(pixels, "YXC")
        yield PlaneStack(path, "YXC", pixels.shape, np.dtype(np.uint8), read, colour=True)


@contextmanager
def open_labels(path: Path, image: PlaneStack, settings: MicroscopyData) -> Iterator[PlaneStack]:
    """The labels of an image, in any format.

    Raises:
        DataError: they cannot be read, are colours, or show other pixels than the image.
    """
    limit, suffix = settings.max_image_pixels, path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        with open_tiff(path, max_pixels=limit, axes=settings.axes, labels=True) as stack:
            yield _checked(stack, image)
    elif settings.label_name is not None or suffix == ".zarr":
        yield _checked(open_ome_zarr_labels(path, size=image.size, max_pixels=limit), image)
    else:
        labels = read_label_map(path, max_pixels=limit)
        yield _checked(PlaneStack(path, "YX", labels.shape, labels.dtype, array_reader(labels, "YX")), image)


def _checked(labels: PlaneStack, image: PlaneStack) -> PlaneStack:
    if labels.length("C") > 1:
        raise DataError(
            f"{labels.source}: a label map has one channel, this one has {labels.length('C')}; store label values, "
            "not colours"
        )
    refuse_other_size(labels.size, image.size, source=labels.source)
    for axis in "TZ":
        if labels.length(axis) not in (1, image.length(axis)):
            raise DataError(
                f"{image.source}: lengths along {axis} differ: image {image.length(axis)}, label {labels.length(axis)}"
            )
    return labels
