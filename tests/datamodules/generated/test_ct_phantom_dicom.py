"""The generated CT as DICOM: read like a hospital's series, its labels the same in every format."""

from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from adapt.datamodules.generated import ct, ct_dicom
from adapt.datamodules.medical import medical_source
from adapt.formats import read_dicom_series
from adapt.recipe import HuWindow, MedicalData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom") / "dicom"
    path.mkdir()
    ct_dicom.write_ct_phantom_dicom(path)
    return path


@pytest.mark.parametrize("patient", range(ct_dicom.PATIENTS))
def test_series_hold_what_was_drawn(folder: Path, patient: int) -> None:
    voxels, _ = ct_dicom.draw_patient_with_cyst(np.random.default_rng([0, patient]))
    series = read_dicom_series(folder / "images" / f"patient_{patient:02d}")
    np.testing.assert_array_equal(series.voxels, voxels)
    assert series.spacing == ct.SPACING
    # LPS to RAS turns x and y round.
    np.testing.assert_allclose(series.affine[:3, 3], np.array(ct_dicom.ORIGIN) * (-1, -1, 1))


@pytest.mark.parametrize("patient", range(ct_dicom.PATIENTS))
def test_labels_of_every_format_become_the_objects_that_were_drawn(folder: Path, patient: int) -> None:
    settings = MedicalData(
        kind="medical",
        root=str(folder),
        labels=ct_dicom.DICOM_LABELS,
        intensity=HuWindow(kind="hu_window"),
        objects="label",
        min_object_pixels=1,
    )
    _, labels = ct_dicom.draw_patient_with_cyst(np.random.default_rng([0, patient]))
    case = medical_source(settings, folder).cases[patient]()
    found = {int(sample.sample_id[-4:]): sample for sample in case.samples}
    assert sorted(found) == np.flatnonzero(labels.any(axis=(1, 2))).tolist()
    for index, sample in found.items():
        drawn = [name for name, value in ct_dicom.DICOM_LABELS.items() if (labels[index] == value).any()]
        assert list(sample.categories) == drawn
        for name, mask in zip(sample.categories, sample.masks, strict=True):
            np.testing.assert_array_equal(mask, labels[index] == ct_dicom.DICOM_LABELS[name])


def test_labels_come_as_seg_file_seg_folder_and_nifti(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "labels").iterdir()) == [
        "patient_00.dcm",
        "patient_01",
        "patient_02.nii.gz",
        "patient_03.nii.gz",
    ]
    assert pydicom.dcmread(folder / "labels" / "patient_00.dcm").Modality == "SEG"


def test_a_scanners_order_and_numbers_are_stored(folder: Path) -> None:
    first = pydicom.dcmread(folder / "images" / "patient_00" / "001.dcm")
    last = pydicom.dcmread(folder / "images" / "patient_00" / f"{ct.SHAPE[0]:03d}.dcm")
    assert first.ImagePositionPatient[2] > last.ImagePositionPatient[2]
    assert (first.RescaleIntercept, first.RescaleSlope, first.Modality) == (-1024, 1, "CT")
    assert sitk.ReadImage(folder / "images" / "patient_00" / "001.dcm").GetSpacing()[:2] == ct.SPACING[:0:-1]


def test_every_patient_has_a_structure_within_another_and_two_that_touch() -> None:
    for patient in range(ct_dicom.PATIENTS):
        _, labels = ct_dicom.draw_patient_with_cyst(np.random.default_rng([0, patient]))
        cyst, liver, kidney = (labels == ct_dicom.DICOM_LABELS[name] for name in ("cyst", "liver", "kidney"))
        wider = np.ones((3, 3), dtype=np.uint8)
        nested = touching = False
        for index in np.flatnonzero(cyst.any(axis=(1, 2))):
            around = cv2.dilate(cyst[index].astype(np.uint8), wider).astype(bool) & ~cyst[index]
            nested |= bool(liver[index][around].all())
        for index in range(len(labels)):
            touching |= bool((cv2.dilate(liver[index].astype(np.uint8), wider).astype(bool) & kidney[index]).any())
        assert nested
        assert touching


def test_the_patients_are_those_of_the_nifti_phantom_otherwise() -> None:
    voxels, labels = ct_dicom.draw_patient_with_cyst(np.random.default_rng([0, 0]))
    plain_voxels, plain_labels = ct.draw_patient(np.random.default_rng([0, 0]))
    cyst = labels == ct_dicom.DICOM_LABELS["cyst"]
    np.testing.assert_array_equal(voxels[~cyst], plain_voxels[~cyst])
    np.testing.assert_array_equal(labels[~cyst], plain_labels[~cyst])
    assert set(np.unique(plain_labels[cyst])) == {ct.LABELS["liver"]}
    assert (plain_voxels[cyst].mean() - voxels[cyst].mean()) == pytest.approx(ct_dicom.CYST_DARKER)
