"""Image and label volumes of a case, read as the recipe says and checked: they show the same voxels and times."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import named_values
from adapt.datamodules.volume_files import DICOM_SEG, VOLUME
from adapt.errors import DataError
from adapt.formats import Volume, integral, narrowest, read_dicom_series, read_itk, read_nifti, same_geometry
from adapt.recipe import MedicalData
from adapt.wording import counted, listed

READERS = {"nii": read_nifti, "nii.gz": read_nifti, "nrrd": read_itk, "mha": read_itk}
"""Ending of a file's name to its reader."""


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
