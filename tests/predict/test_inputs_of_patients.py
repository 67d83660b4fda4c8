"""Volumes in a folder for each patient are inputs one by one, read by the suffix that the recipe names."""

from pathlib import Path

import pytest

from adapt.errors import DataError
from adapt.predict.inputs import find_inputs, prompts_by_input
from adapt.predict.prompt_files import read_prompts
from adapt.recipe import MedicalData, Percentile


def _data(*, image_suffix: str = "", label_suffix: str = "") -> MedicalData:
    return MedicalData(
        kind="medical",
        root="unused",
        image_suffix=image_suffix,
        label_suffix=label_suffix,
        labels={"liver": 1},
        intensity=Percentile(kind="percentile"),
    )


def _volumes(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_each_patient_s_image_is_an_input_and_no_label_is(tmp_path: Path) -> None:
    _volumes(tmp_path, "P1/day1.nii.gz", "P1/day1_seg.nii.gz", "P2/day1.nii.gz", "P3.nii")
    found = find_inputs(tmp_path, _data(label_suffix="_seg"))
    assert {one.name: one.path.relative_to(tmp_path).as_posix() for one in found} == {
        "P1_day1": "P1/day1.nii.gz",
        "P2_day1": "P2/day1.nii.gz",
        "P3": "P3.nii",
    }


def test_a_folder_without_a_volume_file_is_a_series(tmp_path: Path) -> None:
    _volumes(tmp_path, "P1/0001.dcm", "P2.nii.gz")
    assert [one.name for one in find_inputs(tmp_path, _data())] == ["P1", "P2"]


def test_a_suffix_that_no_input_ends_in_is_named(tmp_path: Path) -> None:
    _volumes(tmp_path, "P1.nii.gz")
    with pytest.raises(DataError, match=r"whose names end in data\.image_suffix=_t1; this holds none"):
        find_inputs(tmp_path, _data(image_suffix="_t1"))


def test_two_names_that_would_be_written_alike_are_refused(tmp_path: Path) -> None:
    _volumes(tmp_path, "P1/a.nii", "P1_a.nii")
    with pytest.raises(DataError, match="two files are called P1_a"):
        find_inputs(tmp_path, _data())


def test_a_file_name_that_two_patients_have_names_neither(tmp_path: Path) -> None:
    _volumes(tmp_path, "P1/t1.nii.gz", "P2/t1.nii.gz", "P3.nii.gz")
    inputs = find_inputs(tmp_path, _data())
    csv = tmp_path / "clicks.csv"

    def asked(image: str) -> list[str]:
        csv.write_text(f"image,slice,x,y\n{image},0,1,1\n", encoding="utf-8")
        return list(prompts_by_input(read_prompts(csv), inputs, source=csv))

    assert asked("P2_t1") == ["P2_t1"] and asked("P3.nii.gz") == ["P3"]
    with pytest.raises(DataError, match=r"not in the input: t1\.nii\.gz; the input has P1_t1, P2_t1, P3\.nii\.gz"):
        asked("t1.nii.gz")
