"""The generated CT is a data set like any other: files, exact labels, the same at every call."""

from pathlib import Path

import numpy as np
import pytest

from adapt.datamodules.generated import ct as phantom
from adapt.formats import read_nifti, same_geometry

LABELS = {"liver": 1, "spleen": 2, "kidney": 3, "vertebra": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("phantom")
    phantom.write_phantom(path, patients=2, seed=0)
    return path


def test_labels_have_these_names_and_values() -> None:
    assert phantom.LABELS == LABELS


@pytest.mark.parametrize("patient", [0, 1])
def test_files_hold_what_was_drawn(folder: Path, patient: int) -> None:
    voxels, labels = phantom.draw_patient(np.random.default_rng([0, patient]))
    image = read_nifti(folder / "images" / f"patient_{patient:02d}.nii.gz")
    label = read_nifti(folder / "labels" / f"patient_{patient:02d}.nii.gz")
    np.testing.assert_array_equal(image.voxels, voxels)
    np.testing.assert_array_equal(label.voxels, labels)
    assert same_geometry(image, label) is None
    assert image.spacing == (6.0, 3.0, 3.0)
    assert np.issubdtype(image.voxels.dtype, np.integer)


def test_axes_are_stored_otherwise_than_they_are_read(folder: Path) -> None:
    # So that the quickstart exercises the reorientation too.
    stored = read_nifti(folder / "images" / "patient_00.nii.gz").stored_orientation
    assert stored[:, 1].tolist() != [1, 1, 1]


def test_each_patient_is_its_own_and_the_same_again() -> None:
    first, again, other = (phantom.draw_patient(np.random.default_rng([0, index])) for index in (0, 0, 1))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_files_are_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    phantom.write_phantom(tmp_path, patients=1, seed=0)
    for kind in ("images", "labels"):
        name = f"{kind}/patient_00.nii.gz"
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_structure_is_in_every_patient_at_its_density() -> None:
    patients = [phantom.draw_patient(np.random.default_rng([0, index])) for index in range(phantom.PATIENTS)]
    assert {value for _, labels in patients for value in np.unique(labels)} == {0, *LABELS.values()}
    for value, low, high in [(1, 60, 150), (2, 70, 160), (3, 100, 200), (4, 270, 370)]:
        found = [voxels[labels == value].mean() for voxels, labels in patients if (labels == value).sum() >= 50]
        assert len(found) == phantom.PATIENTS
        assert low < np.mean(found) < high  # Hounsfield units


def test_the_liver_is_on_the_patients_right_and_the_spine_behind() -> None:
    for index in range(4):
        _, labels = phantom.draw_patient(np.random.default_rng([0, index]))
        _, rows, columns = (np.arange(size) for size in labels.shape)
        centre = {value: [axis.mean() for axis in np.nonzero(labels == value)] for value in LABELS.values()}
        assert centre[LABELS["liver"]][2] < columns.mean() < centre[LABELS["spleen"]][2]  # right is on the left
        assert centre[LABELS["vertebra"]][1] > rows.mean()  # anterior is on top
