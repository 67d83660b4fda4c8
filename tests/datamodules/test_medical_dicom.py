"""Series of DICOM files are volumes like any other."""

from pathlib import Path

import numpy as np
import pytest
from small_volumes import (
    SHAPE,
    label_of,
    read_case,
    settings_of,
    some_image,
    two_islands,
    write_pair,
    write_series,
    write_volume,
)

from adapt.datamodules.medical import medical_source


def test_a_folder_of_dicom_is_an_image(tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "p1", some_image())
    write_volume(tmp_path / "labels" / "p1.nii.gz", two_islands())
    from_series = read_case(tmp_path, objects="component")
    (tmp_path / "nifti").mkdir()
    write_pair(tmp_path / "nifti", some_image(), two_islands())
    from_nifti = read_case(tmp_path / "nifti", objects="component")
    [one], [other] = from_series.samples, from_nifti.samples
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.masks, other.masks)


def test_every_file_of_a_series_is_an_input(tmp_path: Path) -> None:
    write_series(tmp_path / "images" / "p1", some_image())
    write_volume(tmp_path / "labels" / "p1.nii.gz", label_of())
    inputs = medical_source(settings_of(tmp_path), tmp_path).inputs
    assert len(inputs) == SHAPE[2] + 1  # a slice that changes must make a new store


@pytest.mark.parametrize("name", ["Größe 3", "影像", "a.b (1) [x] %20"])
def test_names_of_a_series_may_have_any_letters(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "images" / name, some_image())
    write_volume(tmp_path / "labels" / f"{name}.nii.gz", label_of())
    assert {sample.group for sample in read_case(tmp_path).samples} == {name}
