"""Medical volumes: image and label volumes paired by name, cut into slices of one plane, grouped by patient.

Of volumes in time each slice position is a series of frames.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.datamodules.objects import split_objects
from adapt.datamodules.source import Case, Source
from adapt.datamodules.volume_files import find_volumes, patient_of
from adapt.datamodules.volume_reading import Labels, read_volumes
from adapt.formats import Volume, percentile_range, to_uint8
from adapt.recipe import HuWindow, MedicalData, Percentile
from adapt.samples import Sample

HU_WINDOWS = {"soft_tissue": (-160.0, 240.0), "lung": (-1350.0, 150.0), "bone": (-500.0, 1300.0)}
"""Name to [low, high] in Hounsfield units: the usual width and level (400/40, 1500/-600, 1800/400)."""
PLANES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Axis of a `Volume` (superior, posterior, left) that the slices of a plane are stacked along."""


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


def windows_of(image: Volume, intensity: HuWindow | Percentile) -> list[tuple[float, float]]:
    """The [low, high] of one channel, or of each of three, in the unit of the voxels."""
    if isinstance(intensity, Percentile):
        return [percentile_range(image.voxels, low=intensity.low, high=intensity.high)]
    return [HU_WINDOWS[w] if isinstance(w, str) else (w[0], w[1]) for w in intensity.windows]
