"""Medical volumes: image and label volumes paired by name, cut into slices of one plane, grouped by patient."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import named_values, some, split_objects
from adapt.datamodules.pairing import case_group, existing_folder, refuse_unpaired
from adapt.datamodules.source import Case, Source
from adapt.errors import DataError
from adapt.formats import (
    Volume,
    integral,
    percentile_range,
    read_dicom_series,
    read_itk,
    read_nifti,
    same_geometry,
    to_uint8,
)
from adapt.recipe import HuWindow, MedicalData, Percentile
from adapt.samples import Sample

VOLUME = re.compile(r"(?P<name>.+?)\.(?P<format>nii|nii\.gz|nrrd|mha)", re.IGNORECASE)
READERS = {"nii": read_nifti, "nii.gz": read_nifti, "nrrd": read_itk, "mha": read_itk}
"""Ending of a file's name to its reader."""
HU_WINDOWS = {"soft_tissue": (-160.0, 240.0), "lung": (-1350.0, 150.0), "bone": (-500.0, 1300.0)}
"""Name to [low, high] in Hounsfield units: the usual width and level (400/40, 1500/-600, 1800/400)."""
PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis of a `Volume` (superior, posterior, left) that the slices of a plane are stacked along."""


def medical_source(settings: MedicalData, root: Path) -> Source:
    """Pairs of image and label volumes below a folder.

    Images are NIfTI, NRRD or MetaImage files, or folders that hold one DICOM series; labels are files of the same
    name, in any of these formats.

    Raises:
        DataError: a folder is missing or empty, or an image or label has no partner (all are listed).
    """
    images = _volumes(existing_folder(root, settings.image_folder, "data.image_folder"), series=True)
    labels = _volumes(existing_folder(root, settings.label_folder, "data.label_folder"), series=False)
    refuse_unpaired(images, labels, root, kinds="volumes (.nii, .nii.gz, .nrrd, .mha) or folders with a DICOM series")
    inputs = [file for path in images.values() for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return Source(
        inputs=[*inputs, *labels.values()],
        cases=[partial(read_case, name, images[name], labels[name], settings=settings) for name in sorted(images)],
    )


def _volumes(folder: Path, *, series: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = VOLUME.fullmatch(path.name)
        name = match["name"] if match else path.name if series and path.is_dir() else None
        if name is None or path.name.startswith("."):
            continue
        if name in found:
            raise DataError(f"{folder}: two volumes are called {name}: {found[name].name} and {path.name}; keep one")
        found[name] = path
    return found


def read_case(name: str, image_path: Path, label_path: Path, *, settings: MedicalData) -> Case:
    """Slices with objects of one volume; everything is checked before the first one.

    Raises:
        DataError: unreadable, image and label of different geometry, NaN or infinite voxels, label values
            that are not whole or not named, or no labelled voxel.
    """
    image = read_dicom_series(image_path) if image_path.is_dir() else _read(image_path, channel=settings.channel)
    label = _read(label_path, channel=None)
    difference = same_geometry(image, label)
    if difference is not None:
        raise DataError(f"{name}: image and label do not match: {difference}. Resample the label to the image")
    bad = int(np.count_nonzero(~np.isfinite(image.voxels)))
    if bad:
        raise DataError(f"{image.source}: {bad} of {image.voxels.size} voxels are NaN or infinite; replace them")
    labels = _checked_labels(label, settings)
    case = Case(samples=())
    group = case_group(name, settings.group_pattern)
    case.samples = _slices(name, group, image, labels, settings, case)
    return case


def _read(path: Path, *, channel: int | None) -> Volume:
    match = VOLUME.fullmatch(path.name)
    assert match is not None  # `_volumes` lists no other file
    return READERS[match["format"].lower()](path, channel=channel)


def _slices(
    name: str, group: str, image: Volume, labels: npt.NDArray[np.integer], settings: MedicalData, case: Case
) -> Iterator[Sample]:
    """The slices with objects, one at a time; counts what is left out in `case`."""
    windows = _windows(image, settings.intensity)
    axis = PLANES[settings.plane]
    row, column = np.delete(image.spacing, axis)
    for index in range(image.voxels.shape[axis]):
        masks, categories, small = split_objects(
            _slice(labels, axis, index),
            settings.labels,
            by_component=settings.objects == "component",
            min_pixels=settings.min_object_pixels,
        )
        case.small_objects += small
        if not len(masks):
            case.empty_images += 1
            continue
        yield Sample(
            image=_channels(image.voxels, axis, index, windows, neighbours=settings.channels == "neighbours"),
            masks=masks,
            categories=categories,
            group=group,
            spacing=(float(row), float(column)),
            spacing_unit="mm",
            sample_id=f"{name}/{settings.plane}/{index:04d}",
            source=str(image.source),
            slice_of=(name, index, float(image.spacing[axis])),
        )


def _channels(
    voxels: npt.NDArray[Any], axis: int, index: int, windows: list[tuple[float, float]], *, neighbours: bool
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of a slice: one window three times, three windows, or the slices before, at and after it."""
    if neighbours:  # the first and the last slice stand in for what lies beyond
        indices = [min(max(index + step, 0), voxels.shape[axis] - 1) for step in (-1, 0, 1)]
        low, high = windows[0]
        channels = [to_uint8(_slice(voxels, axis, i), low=low, high=high) for i in indices]
    else:
        channels = [to_uint8(_slice(voxels, axis, index), low=low, high=high) for low, high in windows]
    return np.stack(channels if len(channels) == 3 else channels * 3, axis=-1)


def _slice(voxels: npt.NDArray[Any], axis: int, index: int) -> npt.NDArray[Any]:
    """One slice as it is looked at: anterior or superior on top."""
    plane: npt.NDArray[Any] = voxels.take(index, axis=axis)
    return plane if axis == 0 else plane[::-1]


def _checked_labels(label: Volume, settings: MedicalData) -> npt.NDArray[np.integer]:
    values = integral(label.voxels)
    if values is None:
        odd = label.voxels[~np.isfinite(label.voxels) | (label.voxels != np.rint(label.voxels))]
        raise DataError(
            f"{label.source}: label values are not whole numbers (first: {odd.flat[0]:.6g}); "
            "labels resampled with interpolation do this: resample them with nearest neighbour"
        )
    present = [int(value) for value in np.unique(values) if value != 0]
    strict = settings.other_labels == "error"
    if not named_values(present, settings.labels, others_are_errors=strict, source=label.source):
        found = f"; it has the values {some(present)}" if present else ""
        raise DataError(
            f"{label.source}: no voxel is labelled {' or '.join(settings.labels)}{found}. "
            "Remove the case, or correct data.labels"
        )
    return values


def _windows(image: Volume, intensity: HuWindow | Percentile) -> list[tuple[float, float]]:
    """The [low, high] of one channel, or of each of three, in the unit of the voxels."""
    if isinstance(intensity, Percentile):
        return [percentile_range(image.voxels, low=intensity.low, high=intensity.high)]
    return [HU_WINDOWS[w] if isinstance(w, str) else (w[0], w[1]) for w in intensity.windows]
