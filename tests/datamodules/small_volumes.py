"""Volumes of a few voxels, as NIfTI and as DICOM, and what the source of medical images makes of them."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from adapt.datamodules import Case
from adapt.datamodules.medical import medical_source
from adapt.errors import DataError
from adapt.recipe import HuWindow, MedicalData

Array = npt.NDArray[Any]

SHAPE = (9, 7, 5)
"""Voxels to the patient's right, anterior and superior (RAS+): all sides differ."""
SPACING = (0.5, 0.8, 3.0)
AFFINE = np.diag([*SPACING, 1.0])
PLAIN = HuWindow(kind="hu_window", windows=[[0.0, 255.0]])
"""Voxels of 0..255 become the same pixels."""
LABELS = {"liver": 1, "spleen": 2}


def settings_of(root: Path, **changes: object) -> MedicalData:
    given: dict[str, Any] = {"labels": LABELS, "intensity": PLAIN, "objects": "label", "min_object_pixels": 1}
    return MedicalData(kind="medical", root=str(root), **(given | changes))


def write_volume(path: Path, values: Array, affine: Array = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def write_pair(root: Path, image: Array, label: Array, *, name: str = "p1", label_affine: Array = AFFINE) -> None:
    """Arrays with axes right, anterior, superior."""
    write_volume(root / "images" / f"{name}.nii.gz", image)
    write_volume(root / "labels" / f"{name}.nii.gz", label, label_affine)


def some_image() -> Array:
    """Each voxel its own value, 0..255 at most where it is compared."""
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.int16)


def label_of(value: int = 1) -> Array:
    return np.full(SHAPE, value, dtype=np.uint8)


def read_case(root: Path, **changes: object) -> Case:
    [read] = medical_source(settings_of(root, **changes), root).cases
    case = read()
    samples = list(case.samples)  # the counts are complete after the last one
    return Case(samples=samples, empty_images=case.empty_images, small_objects=case.small_objects)


def refusal(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        for case in medical_source(settings_of(root, **changes), root).cases:
            list(case().samples)
    return str(caught.value)


def two_islands() -> Array:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[0:2, 0:2, 1] = 1  # 4 pixels
    label[5:8, 4:7, 1] = 1  # 9 pixels
    label[8, 0, 1] = 2  # 1 pixel
    return label


def write_series(folder: Path, values: Array) -> None:
    """What `write_volume` stores, as DICOM: rows run back and columns to the left, from slice to slice up."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    reading = values[::-1, ::-1].transpose(2, 1, 0)
    # The first voxel is the rightmost and most anterior; LPS is RAS with x and y turned round.
    right, anterior = -SPACING[0] * (SHAPE[0] - 1), -SPACING[1] * (SHAPE[1] - 1)
    for index, pixels in enumerate(reading):
        image = sitk.GetImageFromArray(pixels.astype(np.int16))
        image.SetSpacing(SPACING[:2])
        tags = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"1.2.3.4.{index}",
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0020|0013": str(index),
            "0020|0032": f"{right:.6f}\\{anterior:.6f}\\{SPACING[2] * index:.6f}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0028|0030": f"{SPACING[1]}\\{SPACING[0]}",
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{index}.dcm"))
        writer.Execute(image)
