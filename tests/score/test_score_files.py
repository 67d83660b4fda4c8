"""Which prediction belongs to which truth, and what is refused."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from adapt.errors import DataError
from adapt.formats.tiff import write_label_tiff
from adapt.score.files import Reading, paired_files, read_pair

READING = Reading(pixels=10_000, voxels=10_000)


def _png(path: Path, labels: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(labels.astype(np.uint8)).save(path)
    return path


def _nifti(path: Path, labels: np.ndarray, *, shift: float = 0.0) -> Path:
    affine = np.eye(4)
    affine[0, 3] = shift
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), affine), path)
    return path


LABELS = np.array([[0, 1, 1], [2, 2, 0]])


def test_names_are_paired_whatever_the_format_and_the_suffix(tmp_path: Path) -> None:
    _png(tmp_path / "ours" / "a_cp_masks.png", LABELS)
    _png(tmp_path / "ours" / "a_outlines.png", LABELS)
    (tmp_path / "theirs").mkdir()
    write_label_tiff(tmp_path / "theirs" / "a.ome.tif", LABELS, pixel_size=None)
    (tmp_path / "theirs" / "notes.txt").write_text("", encoding="utf-8")
    pairs = paired_files(tmp_path / "ours", tmp_path / "theirs", prediction_suffix="_cp_masks")
    assert pairs == {"a": (tmp_path / "ours" / "a_cp_masks.png", tmp_path / "theirs" / "a.ome.tif")}
    ours, theirs = read_pair(*pairs["a"], reading=READING)
    np.testing.assert_array_equal(ours, LABELS)
    np.testing.assert_array_equal(theirs, LABELS)


def test_two_files_are_a_pair_whatever_they_are_called(tmp_path: Path) -> None:
    ours, theirs = _png(tmp_path / "one.png", LABELS), _png(tmp_path / "other.png", LABELS)
    assert paired_files(ours, theirs) == {"other": (ours, theirs)}


def test_missing_and_additional_files_are_counted_and_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _png(tmp_path / "theirs" / f"{name}.png", LABELS)
    for name in ("a", "z"):
        _png(tmp_path / "ours" / f"{name}.png", LABELS)
    with pytest.raises(DataError, match=r"2 truths without a prediction: b, c; 1 prediction without a truth: z"):
        paired_files(tmp_path / "ours", tmp_path / "theirs")


def test_what_is_no_pair_of_folders_is_refused(tmp_path: Path) -> None:
    folder, file = tmp_path / "folder", _png(tmp_path / "a.png", LABELS)
    folder.mkdir()
    with pytest.raises(DataError, match="no such file or folder"):
        paired_files(tmp_path / "none", folder)
    with pytest.raises(DataError, match="two folders, or two files"):
        paired_files(file, folder)
    with pytest.raises(DataError, match=r"folder: no label map whose name ends in _x; \.png"):
        paired_files(folder, tmp_path, prediction_suffix="_x")
    _png(folder / "a.png", LABELS)
    _png(folder / "a.bmp", LABELS)
    with pytest.raises(DataError, match=r"two files are called a: a\.bmp and a\.png"):
        paired_files(folder, folder)


def test_maps_of_other_pixels_are_refused(tmp_path: Path) -> None:
    first, second = _png(tmp_path / "a.png", LABELS), _png(tmp_path / "b.png", LABELS.T)
    with pytest.raises(DataError, match=r"a\.png is \(2, 3\), but .*b\.png is \(3, 2\)"):
        read_pair(first, second, reading=READING)
    volume = np.zeros((3, 4, 5))
    with pytest.raises(DataError, match="affines differ by up to 2 mm"):
        read_pair(
            _nifti(tmp_path / "a.nii.gz", volume), _nifti(tmp_path / "b.nii.gz", volume, shift=2), reading=READING
        )


def test_a_map_that_is_too_large_names_the_option(tmp_path: Path) -> None:
    path = _png(tmp_path / "a.png", LABELS)
    with pytest.raises(DataError, match=r"more than --max-pixels \(5\)"):
        read_pair(path, path, reading=Reading(pixels=5, voxels=5))
    path = _nifti(tmp_path / "a.nii", np.zeros((3, 4, 5)))
    with pytest.raises(DataError, match=r"more than --max-voxels \(5\)"):
        read_pair(path, path, reading=Reading(pixels=5, voxels=5))


def test_planes_of_a_tiff_are_a_volume(tmp_path: Path) -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    write_label_tiff(tmp_path / "a.tif", volume, pixel_size=None)
    ours, _ = read_pair(tmp_path / "a.tif", tmp_path / "a.tif", reading=READING)
    np.testing.assert_array_equal(ours, volume)


def test_a_tiff_that_does_not_tell_its_axes_is_read_by_those_that_are_given(tmp_path: Path) -> None:
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    tifffile.imwrite(tmp_path / "a.tif", volume, photometric="minisblack", metadata=None)
    with pytest.raises(DataError, match="set --axes, one letter each"):
        read_pair(tmp_path / "a.tif", tmp_path / "a.tif", reading=READING)
    ours, _ = read_pair(tmp_path / "a.tif", tmp_path / "a.tif", reading=replace(READING, axes="ZYX"))
    np.testing.assert_array_equal(ours, volume)


def test_values_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.full((2, 2, 2), 0.5, dtype=np.float32), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match="not whole numbers"):
        read_pair(tmp_path / "a.nii", tmp_path / "a.nii", reading=READING)


def test_volumes_in_time_are_scored_one_by_one(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), dtype=np.uint8), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"a\.nii: holds 3 volumes in time, and volumes are scored one by one"):
        read_pair(tmp_path / "a.nii", tmp_path / "a.nii", reading=READING)
