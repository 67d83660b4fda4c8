"""Every unusable volume, label or folder is told, and what to do."""

import re
from pathlib import Path

import numpy as np
import pytest
from small_volumes import AFFINE, SHAPE, label_of, read_case, refusal, some_image, two_islands, write_pair, write_volume


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("labels/p2.nii.gz", "1 image without a label of the same name: p2. Give both the same name, or remove them"),
        ("images/p2.nii.gz", "1 label without an image of the same name: p2. Give both the same name, or remove them"),
    ],
)
def test_a_missing_partner_is_named(tmp_path: Path, missing: str, told: str) -> None:
    for name in ("p1", "p2"):
        write_pair(tmp_path, some_image(), label_of(), name=name)
    (tmp_path / missing).unlink()
    assert told in refusal(tmp_path)


def test_the_two_suffixes_are_partners(tmp_path: Path) -> None:
    write_volume(tmp_path / "images" / "p1.nii", some_image())
    write_volume(tmp_path / "labels" / "p1.nii.gz", label_of())
    assert len(read_case(tmp_path).samples) == SHAPE[2]


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of())
    write_volume(tmp_path / "images" / "p1.nii", some_image())
    assert "two files are called p1: p1.nii and p1.nii.gz; keep one" in refusal(tmp_path)


def test_files_of_the_desktop_are_passed_over(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of())
    (tmp_path / "images" / "._p1.nii.gz").write_bytes(b"resource fork")  # macOS writes these on foreign disks
    (tmp_path / "images" / "notes.txt").write_text("x")
    assert len(read_case(tmp_path).samples) == SHAPE[2]


def test_a_missing_root_is_told_with_its_key(tmp_path: Path) -> None:
    message = refusal(tmp_path / "gone")
    assert re.search(r"data\.root: no folder .*gone .*set data\.root=/your/data", message)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_missing_folder_is_told_with_its_key_and_what_is_there(tmp_path: Path, kind: str) -> None:
    write_pair(tmp_path, some_image(), label_of())
    message = refusal(tmp_path, **{f"{kind}_folder": "scans"})
    assert re.search(rf"data\.{kind}_folder: no folder .*scans; .* holds: images, labels", message)


def test_a_root_without_anything_is_not_offered_as_a_choice(tmp_path: Path) -> None:
    message = refusal(tmp_path)
    assert "is empty: set data.root to the folder of your data" in message
    assert "one of them" not in message


def test_an_empty_folder_is_told_with_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    assert re.search(r"no image found; volumes .* DICOM series are read", refusal(tmp_path))


def test_another_shape_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of()[:, :, :4])
    message = refusal(tmp_path)
    assert message.startswith("p1: image and label do not match: shapes differ: (5, 7, 9) in p1.nii.gz, (4, 7, 9)")
    assert message.endswith("Resample the label to the image")


def test_another_place_is_refused(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[2, 3] = 6.0
    write_pair(tmp_path, some_image(), label_of(), label_affine=moved)
    assert "p1: image and label do not match: affines differ by up to 6 mm" in refusal(tmp_path)


def test_a_label_value_without_a_name_is_refused(tmp_path: Path) -> None:
    label = label_of()
    label[0, 0, 0], label[1, 0, 0] = 7, 9
    write_pair(tmp_path, some_image(), label)
    message = refusal(tmp_path)
    assert "p1.nii.gz: label values 7, 9 are not named in data.labels (liver: 1, spleen: 2)" in message
    assert "Name them, or set data.other_labels=ignore" in message
    case = read_case(tmp_path, other_labels="ignore")
    assert {name for sample in case.samples for name in sample.categories} == {"liver"}
    assert sum(int(sample.masks.sum()) for sample in case.samples) == np.prod(SHAPE) - 2


@pytest.mark.parametrize(("value", "found"), [(0, ""), (7, "; it has the values 7")])
def test_a_label_without_a_labelled_voxel_is_refused(tmp_path: Path, value: int, found: str) -> None:
    write_pair(tmp_path, some_image(), label_of(value))
    message = refusal(tmp_path, other_labels="ignore")
    expected = f"p1.nii.gz: no voxel is labelled liver or spleen{found}. Remove the case, or correct data.labels"
    assert expected in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    image = some_image().astype(np.float32)
    image[1, 2, 3] = image[4, 4, 4] = bad
    write_pair(tmp_path, image, label_of())
    assert "p1.nii.gz: 2 of 315 voxels are NaN or infinite; replace them" in refusal(tmp_path)


@pytest.mark.parametrize(("bad", "shown"), [(0.5, "0.5"), (np.nan, "nan"), (-np.inf, "-inf"), (1e30, "1e+30")])
def test_label_values_that_are_not_whole_are_refused(tmp_path: Path, bad: float, shown: str) -> None:
    label = label_of().astype(np.float32)
    label[1, 2, 3] = bad
    write_pair(tmp_path, some_image(), label)
    message = refusal(tmp_path)
    assert f"p1.nii.gz: label values are not whole numbers (first: {shown})" in message
    assert "resample them with nearest neighbour" in message


def test_whole_label_values_stored_as_float_are_accepted(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), two_islands().astype(np.float64))
    [sample] = read_case(tmp_path).samples
    assert sample.masks.sum((1, 2)).tolist() == [13, 1]


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_volumes_larger_than_the_limit_are_refused(tmp_path: Path, kind: str) -> None:
    write_pair(tmp_path, some_image(), label_of())
    write_volume(tmp_path / kind / "p1.nii.gz", np.zeros((20, 7, 5), dtype=np.int16))
    message = refusal(tmp_path, max_voxels=some_image().size)
    assert f"{kind}/p1.nii.gz: 20 x 7 x 5 voxels are more than data.max_voxels (315)" in message


def test_a_folder_linked_into_itself_is_told_as_unpaired(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of())
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images", target_is_directory=True)
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images" / "loop")  # leads nowhere, has no ending
    assert "1 image without a label of the same name: again" in refusal(tmp_path)


def test_a_volume_that_is_linked_to_itself_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of())
    (tmp_path / "images" / "p1.nii.gz").unlink()
    (tmp_path / "images" / "p1.nii.gz").symlink_to(tmp_path / "images" / "p1.nii.gz")
    assert "p1.nii.gz: cannot be read as NIfTI" in refusal(tmp_path)
