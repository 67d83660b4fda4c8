"""What is written for an input: the format of its domain, or one that is asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats import narrowest, write_itk, write_nifti
from adapt.predict.coco_file import write_coco
from adapt.predict.opened import Ground, Opened, Plain, Scan
from adapt.predict.segmenting import Found, Segmentation

TIFF, COCO, NIFTI, NRRD, MHA, DICOM_SEG, GEOTIFF, GPKG, GEOJSON = (
    *("tiff", "coco", "nifti", "nrrd", "mha", "dicom_seg", "geotiff", "gpkg", "geojson"),
)
ENDINGS = {
    TIFF: ".tif",
    COCO: ".json",
    NIFTI: ".nii.gz",
    NRRD: ".nrrd",
    MHA: ".mha",
    DICOM_SEG: ".dcm",
    GEOTIFF: ".tif",
    GPKG: ".gpkg",
    GEOJSON: ".geojson",
}
"""Format to the ending of its files."""
STORED_AS = {".nii": NIFTI, ".gz": NIFTI, ".nrrd": NRRD, ".mha": MHA}
"""Ending of a volume's file to the format that its labels are written in."""


@dataclass(frozen=True, eq=False)
class Output:
    """All that a writer needs.

    Attributes:
        name: of the input's file.
        opened: the input.
        found: its objects.
        values: category to label value, if a volume's categories all have one; empty for numbered objects.
        category: of objects whose prompt names none.
        about: the model and how it was asked, for formats that can hold it.
    """

    name: str
    opened: Opened
    found: Segmentation
    values: Mapping[str, int]
    category: str
    about: Mapping[str, Any]

    @property
    def largest(self) -> int:
        """The largest label that is written."""
        return max(self.values.values()) if self.values else len(self.found.objects)

    def category_of(self, one: Found) -> str:
        """The category of an object, never empty."""
        return one.category or self.category

    def stack(self) -> npt.NDArray[np.integer]:
        """(slices, H, W) label values in the smallest type that holds them."""
        if self.values:
            lookup = np.array([0, *(self.values[one.category] for one in self.found.objects)], dtype=np.int64)
        else:
            lookup = np.arange(len(self.found.objects) + 1)
        kind = narrowest(np.array([0, self.largest]))
        stacked = np.empty((self.opened.slices, self.opened.height, self.opened.width), dtype=kind)
        for index in range(self.opened.slices):
            for top, labels in self.found.strips(index):
                stacked[index, top : top + len(labels)] = lookup.astype(kind)[labels]
        return stacked


def usual_format(opened: Opened, source: Path) -> str:
    """The format of the input's domain."""
    match opened.like:
        case Scan():
            return DICOM_SEG if source.is_dir() else STORED_AS[source.suffix.lower()]
        case Ground():
            return GEOTIFF
        case _:
            return COCO if opened.tile_size is None else TIFF


def check_format(name: str, opened: Opened, source: Path) -> None:
    """Check that an input can be written in a format, before anything is segmented.

    Raises:
        DataError: it cannot.
    """
    match opened.like:
        case Plain():
            fits: tuple[str, ...] = (COCO, TIFF)
        case Scan(volume=volume) if volume.clock is not None:
            fits = (NIFTI, COCO)
        case Scan():
            fits = (NIFTI, NRRD, MHA, *((DICOM_SEG,) if source.is_dir() else ()), COCO)
        case Ground():
            fits = (GEOTIFF, GPKG, GEOJSON)
    if name not in fits:
        raise DataError(f"{source}: cannot be written as {name}; --format of this input: {', '.join(fits)}")


def write_output(format_name: str, path: Path, output: Output) -> None:
    """Write the objects of an input; whole or not at all.

    Raises:
        DataError: the format cannot hold them.
    """
    WRITERS[format_name](path, output)


def _write_tiff(path: Path, output: Output) -> None:
    from adapt.formats.tiff import write_label_tiff  # needs an extra

    stack = output.stack()
    like = output.opened.like
    assert isinstance(like, Plain)  # `check_format` lets no other through
    several = output.opened.slices > 1
    write_label_tiff(path, stack if several else stack[0], pixel_size=like.pixel_size, stacked=like.stacked)


def _write_coco(path: Path, output: Output) -> None:
    if output.found.masks is None:
        raise DataError(
            f"{output.name}: was cut into tiles, and COCO's run lengths go over the whole image; write --format tiff"
        )
    opened, found = output.opened, output.found
    write_coco(
        path,
        file_name=output.name,
        size=(opened.height, opened.width),
        places=[opened.place_of(index) for index in range(opened.slices)],
        objects={one.number: one for one in found.objects},
        masks=output.found.masks,
        category_of=output.category_of,
        about=output.about,
    )


def _write_volume(write: Callable[..., None]) -> Callable[[Path, Output], None]:
    def written(path: Path, output: Output) -> None:
        like = output.opened.like
        assert isinstance(like, Scan)  # `check_format` lets no other through
        write(path, like.in_volume(output.stack()), like=like.volume)

    return written


def _write_dicom_seg(path: Path, output: Output) -> None:
    from adapt.formats.dicom_seg import write_dicom_seg  # needs an extra

    like = output.opened.like
    assert isinstance(like, Scan)
    numbered = {f"{output.category_of(one)} {one.number}": one.number for one in output.found.objects}
    labels = like.in_volume(output.stack())
    present = set(np.unique(labels).tolist())
    names = {name: value for name, value in (output.values or numbered).items() if value in present}
    if not names:
        raise DataError(f"{output.name}: no object was found, and a DICOM SEG needs a segment; write --format nifti")
    write_dicom_seg(path, labels, names=names, like=like.volume)


def _write_geotiff(path: Path, output: Output) -> None:
    from adapt.formats.geotiff import read_scene  # needs an extra
    from adapt.formats.label_strips import write_label_strips

    like = output.opened.like
    assert isinstance(like, Ground)
    write_label_strips(path, output.found.strips(0), largest=output.largest, like=read_scene(like.path))


def _write_vectors(path: Path, output: Output) -> None:
    from adapt.formats.geotiff import read_scene  # needs an extra
    from adapt.formats.label_strips import polygons_of_strips
    from adapt.formats.vectors import write_polygons

    like = output.opened.like
    assert isinstance(like, Ground)
    scene = read_scene(like.path)
    if not scene.georeferenced:
        raise DataError(f"{like.path}: names no coordinate reference system, as polygons need; write --format geotiff")
    outlines = polygons_of_strips(output.found.strips(0), like=scene)
    objects: Sequence[Found] = [output.found.objects[number - 1] for number in outlines]
    write_polygons(
        path,
        np.array(list(outlines.values()), dtype=object),
        ids=list(outlines),
        categories=[output.category_of(one) for one in objects],
        scores=[one.predicted_iou for one in objects],
        crs=scene.crs,
    )


WRITERS: dict[str, Callable[[Path, Output], None]] = {
    TIFF: _write_tiff,
    COCO: _write_coco,
    NIFTI: _write_volume(write_nifti),
    NRRD: _write_volume(write_itk),
    MHA: _write_volume(write_itk),
    DICOM_SEG: _write_dicom_seg,
    GEOTIFF: _write_geotiff,
    GPKG: _write_vectors,
    GEOJSON: _write_vectors,
}
