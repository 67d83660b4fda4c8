"""Medical volumes: image and label volumes paired by name, cut into slices of one plane, grouped by patient.

Of volumes in time each slice position is a series of frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import named_values, split_objects
from adapt.datamodules.source import Case, Source
from adapt.datamodules.volume_files import DICOM_SEG, VOLUME, find_volumes, patient_of
from adapt.errors import DataError
from adapt.formats import (
    Volume,
    integral,
    narrowest,
    percentile_range,
    read_dicom_series,
    read_itk,
    read_nifti,
    same_geometry,
    to_uint8,
)
from adapt.recipe import HuWindow, MedicalData, Percentile
from adapt.samples import Sample
from adapt.wording import counted, listed

READERS = {"nii": read_nifti, "nii.gz": read_nifti, "nrrd": read_itk, "mha": read_itk}
"""Ending of a file's name to its reader."""
HU_WINDOWS = {"soft_tissue": (-160.0, 240.0), "lung": (-1350.0, 150.0), "bone": (-500.0, 1300.0)}
"""Name to [low, high] in Hounsfield units: the usual width and level (400/40, 1500/-600, 1800/400)."""
PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis of a `Volume` (superior, posterior, left) that the slices of a plane are stacked along."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What is labelled in a volume; segments of a DICOM SEG may overlap, then there are several layers.

    Attributes:
        layers: (Z, Y, X) values, of several times (T, Z, Y, X).
        structures: name and value of each structure; two structures may share a name, as two lesions do.
    """

    layers: list[npt.NDArray[np.integer]]
    structures: list[tuple[str, int]]

    @property
    def in_time(self) -> list[npt.NDArray[np.integer]]:
        """(T, Z, Y, X) values of each layer; T is 1 of a volume without time."""
        return [layer.reshape(-1, *layer.shape[-3:]) for layer in self.layers]

    @property
    def labelled(self) -> list[int]:
        """The times at which anything is labelled; at the others nobody has, as between two phases of a heart beat."""
        there = np.any([[frame.any() for frame in layer] for layer in self.in_time], axis=0)
        found: list[int] = np.flatnonzero(there).tolist()
        return found


def medical_source(settings: MedicalData, root: Path) -> Source:
    """Pairs of image and label volumes below a folder.

    Images are NIfTI, NRRD or MetaImage files, or folders that hold one DICOM series; labels are files of the same
    name, in any of these formats, or DICOM SEG: a file, or a folder that holds one. Both may lie in a folder for each
    patient (`volume_files`).

    Raises:
        DataError: a folder is missing or empty, or an image or label has no partner (all are listed).
    """
    pairs, told, both = find_volumes(settings, root)
    return Source(
        inputs=[file for path in both for file in (sorted(path.iterdir()) if path.is_dir() else [path])],
        cases=[*told, *(partial(read_case, name, *pair, settings=settings) for name, pair in pairs.items())],
    )


def read_case(name: str, image_path: Path, label_path: Path, *, settings: MedicalData) -> Case:
    """Slices with objects of one volume; everything is checked before the first one.

    Raises:
        DataError: see `read_volumes`.
    """
    image, labels = read_volumes(name, image_path, label_path, settings=settings)
    case = Case(samples=())
    group = patient_of(name, settings.group_pattern)
    case.samples = _slices(name, group, image, labels, settings, case)
    return case


def read_volumes(name: str, image_path: Path, label_path: Path, *, settings: MedicalData) -> tuple[Volume, Labels]:
    """An image and its labels on the same voxels.

    Raises:
        DataError: unreadable, image and label of different geometry or with other frames, NaN or infinite voxels,
            label values that are not whole or not named, or no labelled voxel.
    """
    if label_path.is_dir() or DICOM_SEG.fullmatch(label_path.name):
        _refuse_timeless(label_path, settings)
        image = read_scan(image_path, settings)
        labels = _read_segments(label_path, image, settings)
    else:
        label = _read_label(label_path, settings)  # before the image: it shrinks to a byte a voxel
        image = read_scan(image_path, settings)
        _refuse_other_frames(label, image)
        difference = same_geometry(image, label)
        if difference is not None:
            raise DataError(f"{name}: image and label do not match: {difference}. Resample the label to the image")
        labels = Labels([label.voxels], list(settings.labels.items()))
        _refuse_unnamed(label, settings)
    return image, labels


def read_scan(path: Path, settings: MedicalData) -> Volume:
    """An image volume: a file, or a folder with a DICOM series.

    Raises:
        DataError: unreadable, too large, with NaN or infinite voxels, or without time where it is asked for.
    """
    if path.is_dir():
        _refuse_timeless(path, settings)
        image = read_dicom_series(path, max_voxels=settings.max_voxels)
    else:
        image = _read(path, settings, channel=settings.channel)
    if settings.time == "all" and image.clock is None:
        raise DataError(
            f"{path}: has no time axis (its slices, rows and columns are {image.size}), but data.time=all reads files "
            "whose fourth axis is time; set data.time=null"
        )
    _refuse_not_finite(image)
    return image


def _read(path: Path, settings: MedicalData, *, channel: int | None) -> Volume:
    match = VOLUME.fullmatch(path.name)
    assert match is not None  # `volumes_in` lists no other file
    if settings.time == "all":
        if not match["format"].lower().startswith("nii"):
            _refuse_timeless(path, settings)
        return read_nifti(path, time=True, max_voxels=settings.max_voxels)
    return READERS[match["format"].lower()](path, channel=channel, max_voxels=settings.max_voxels)


def _slices(
    name: str, group: str, image: Volume, labels: Labels, settings: MedicalData, case: Case
) -> Iterator[Sample]:
    """The slices with objects, one at a time, of all times; counts what is left out in `case`.

    Frames that nobody has labelled have no place in their series: those around them follow one another.
    """
    windows = windows_of(image, settings.intensity)
    axis = PLANES[settings.plane]
    row, column = np.delete(image.spacing, axis)
    layers, labelled = labels.in_time, labels.labelled
    for index, (time, voxels) in product(range(image.size[axis]), enumerate(image.frames)):
        found = [
            split_objects(
                plane_of(layer[time], axis, index),
                {structure: value},
                by_component=settings.objects == "component",
                min_pixels=settings.min_object_pixels,
            )
            for layer in layers
            for structure, value in labels.structures
        ]
        masks = np.concatenate([masks for masks, _, _ in found])
        case.small_objects += sum(small for _, _, small in found)
        if not len(masks):
            case.empty_images += 1
            continue
        of_slice = f"{name}/{settings.plane}/{index:04d}"
        yield Sample(
            image=slice_picture(voxels, axis, index, windows, neighbours=settings.channels == "neighbours"),
            masks=masks,
            categories=tuple(category for _, categories, _ in found for category in categories),
            group=group,
            spacing=(float(row), float(column)),
            spacing_unit="mm",
            sample_id=of_slice if image.clock is None else f"{of_slice}/t{time:04d}",
            source=str(image.source),
            slice_of=(name, index, float(image.spacing[axis]))
            if image.clock is None
            else (of_slice, labelled.index(time), None),
        )


def slice_picture(
    voxels: npt.NDArray[Any], axis: int, index: int, windows: list[tuple[float, float]], *, neighbours: bool
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 of a slice: one window three times, three windows, or the slices before, at and after it."""
    if neighbours:  # the first and the last slice stand in for what lies beyond
        indices = [min(max(index + step, 0), voxels.shape[axis] - 1) for step in (-1, 0, 1)]
        low, high = windows[0]
        channels = [to_uint8(plane_of(voxels, axis, i), low=low, high=high) for i in indices]
    else:
        channels = [to_uint8(plane_of(voxels, axis, index), low=low, high=high) for low, high in windows]
    return np.stack(channels if len(channels) == 3 else channels * 3, axis=-1)


def plane_of(voxels: npt.NDArray[Any], axis: int, index: int) -> npt.NDArray[Any]:
    """One slice as it is looked at: anterior or superior on top."""
    plane: npt.NDArray[Any] = np.moveaxis(voxels, axis, 0)[index]
    return plane if axis == 0 else plane[::-1]


def _read_label(path: Path, settings: MedicalData) -> Volume:
    """Label values as integers in as few bytes as they need.

    Raises:
        DataError: unreadable, or a value that is not whole.
    """
    label = _read(path, settings, channel=None)
    values = integral(label.voxels)
    if values is None:  # a fraction, NaN, infinite, or larger than any integer type holds
        odd = next(v for plane in label.voxels for v in plane[(plane != np.rint(plane)) | ~(np.abs(plane) < 2.0**63)])
        raise DataError(
            f"{label.source}: label values are not whole numbers (first: {odd:.6g}); "
            "labels resampled with interpolation do this: resample them with nearest neighbour"
        )
    return replace(label, voxels=values.astype(narrowest(values), copy=False))


def _refuse_timeless(path: Path, settings: MedicalData) -> None:
    """Check that time is not asked for of a format whose time is not read."""
    if settings.time == "all":
        raise DataError(
            f"{path}: data.time=all reads four-dimensional NIfTI alone (.nii, .nii.gz); convert it, or set "
            "data.time=null"
        )


def _refuse_other_frames(label: Volume, image: Volume) -> None:
    there, wanted = len(label.frames), len(image.frames)
    if there != wanted:
        raise DataError(
            f"{label.source}: has labels of {counted(there, 'frame')}, but {image.source.name} has {wanted} and "
            f"data.time=all reads them all; store labels of {wanted} frames, zeros in those that nobody has labelled"
        )


def _refuse_not_finite(image: Volume) -> None:
    if np.issubdtype(image.voxels.dtype, np.integer):
        return
    bad = sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in image.voxels)
    if bad:
        raise DataError(f"{image.source}: {bad} of {image.voxels.size} voxels are NaN or infinite; replace them")


def _refuse_unnamed(label: Volume, settings: MedicalData) -> None:
    present = {int(value) for plane in label.voxels for value in np.unique(plane)} - {0}
    strict = settings.other_labels == "error"
    if not named_values(present, settings.labels, others_are_errors=strict, source=label.source):
        found = f"; it has the values {listed(sorted(present))}" if present else ""
        raise DataError(_nothing_labelled(label.source, settings, found))


def _read_segments(path: Path, image: Volume, settings: MedicalData) -> Labels:
    """The segments of a DICOM SEG whose label is a name in `data.labels`, in upper or lower case.

    Segments are numbered anew in every file, so their numbers say nothing.

    Raises:
        DataError: unreadable, not on the voxels of the image, or a segment without a name.
    """
    from adapt.formats.dicom_seg import read_dicom_seg  # needs an extra

    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        if len(files) != 1:
            raise DataError(f"{path}: holds {counted(len(files), 'file')}; a label folder holds one DICOM SEG file")
        path = files[0]
    segments = read_dicom_seg(path, like=image)
    present = {int(value) for layer in segments.layers for plane in layer for value in np.unique(plane)} - {0}
    known = {name.casefold(): name for name in settings.labels}
    labels = {number: segments.names.get(number, "") for number in sorted(present)}
    others = [f"{label!r} ({number})" for number, label in labels.items() if label.casefold() not in known]
    if others and settings.other_labels == "error":
        raise DataError(
            f"{path}: segments {listed(others)} are not named in "
            f"data.labels ({', '.join(settings.labels)}). Name them as the file does, or set data.other_labels=ignore"
        )
    structures = [(known[label.casefold()], number) for number, label in labels.items() if label.casefold() in known]
    if not structures:
        found = f"; it has the segments {listed(others)}" if others else ""
        raise DataError(_nothing_labelled(path, settings, found))
    return Labels(segments.layers, structures)


def _nothing_labelled(source: Path, settings: MedicalData, found: str) -> str:
    return (
        f"{source}: no voxel is labelled {' or '.join(settings.labels)}{found}. Remove the case, or correct data.labels"
    )


def windows_of(image: Volume, intensity: HuWindow | Percentile) -> list[tuple[float, float]]:
    """The [low, high] of one channel, or of each of three, in the unit of the voxels."""
    if isinstance(intensity, Percentile):
        return [percentile_range(image.voxels, low=intensity.low, high=intensity.high)]
    return [HU_WINDOWS[w] if isinstance(w, str) else (w[0], w[1]) for w in intensity.windows]
