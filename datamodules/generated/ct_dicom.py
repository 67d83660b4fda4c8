"""The generated CT as hospitals have it: DICOM series, with labels as DICOM SEG and as NIfTI.

The patients are those of the NIfTI phantom, with a cyst in the liver: a structure within another. Kidney and liver
touch.
"""

import uuid
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from adapt.datamodules.generated.ct import LABELS, SPACING, draw_patient
from adapt.formats import read_dicom_series, write_nifti
from adapt.formats.itk import quiet_itk

PATIENTS = 4
DICOM_LABELS = {**LABELS, "cyst": 5}
CYST_RADIUS, CYST_DARKER = 10.0, 95  # mm, Hounsfield units
ORIGIN = (-167.0, -143.0, -310.0)  # of the lowest slice's first voxel, (x, y, z) in LPS, mm
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def write_ct_phantom_dicom(folder: Path) -> None:
    """`PATIENTS` patients, one series a folder; labels of the first two as DICOM SEG, which needs the extra medical."""
    from adapt.formats.dicom_seg import write_dicom_seg

    labels_folder = folder / "labels"
    labels_folder.mkdir(parents=True)
    for patient in range(PATIENTS):
        voxels, labels = draw_patient_with_cyst(np.random.default_rng([0, patient]))
        name = f"patient_{patient:02d}"
        write_series(folder / "images" / name, voxels, name=name)
        series = read_dicom_series(folder / "images" / name)
        if patient == 0:
            write_dicom_seg(labels_folder / f"{name}.dcm", labels, names=DICOM_LABELS, like=series)
        elif patient == 1:
            (labels_folder / name).mkdir()
            write_dicom_seg(labels_folder / name / "seg.dcm", labels, names=DICOM_LABELS, like=series)
        else:
            write_nifti(labels_folder / f"{name}.nii.gz", labels, like=series)


def draw_patient_with_cyst(random: np.random.Generator) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """As `draw_patient`, with a cyst where the liver is thickest in its largest slice."""
    voxels, labels = draw_patient(random)
    liver = labels == LABELS["liver"]
    middle = int(liver.sum(axis=(1, 2)).argmax())
    depth = cv2.distanceTransform(liver[middle].astype(np.uint8), cv2.DIST_L2, 3)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    offsets = np.ogrid[tuple(slice(size) for size in labels.shape)]
    apart = sum(
        ((offset - centre) * step) ** 2
        for offset, centre, step in zip(offsets, (middle, row, column), SPACING, strict=True)
    )
    cyst = (apart < CYST_RADIUS**2) & liver
    voxels[cyst] -= CYST_DARKER
    labels[cyst] = DICOM_LABELS["cyst"]
    return voxels, labels


def write_series(folder: Path, voxels: npt.NDArray[np.int16], *, name: str) -> None:
    """Hounsfield units (Z, Y, X) as one file a slice, stored with an intercept of -1024; the highest slice is first."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    slices, (thickness, row, column) = len(voxels), SPACING
    for number in range(1, slices + 1):
        index = slices - number
        image = sitk.GetImageFromArray(voxels[index])
        image.SetSpacing((column, row))
        tags = {
            "0008|0016": CT_STORAGE,
            "0008|0018": _uid(f"{name}/{number}"),
            "0008|0060": "CT",
            "0010|0010": f"Phantom^{name}",
            "0010|0020": name,
            "0018|0050": str(thickness),
            "0020|000d": _uid(f"{name}/study"),
            "0020|000e": _uid(f"{name}/series"),
            "0020|0013": str(number),
            "0020|0032": f"{ORIGIN[0]}\\{ORIGIN[1]}\\{ORIGIN[2] + thickness * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0052": _uid(f"{name}/frame of reference"),
            "0028|0030": f"{row}\\{column}",
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{number:03d}.dcm"))
        with quiet_itk():
            writer.Execute(image)


def _uid(name: str) -> str:
    """A DICOM number that is the same at every call."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'adapt:ct_phantom_dicom/{name}').int}"
