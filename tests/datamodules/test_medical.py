"""Volumes become slices as radiologists look at them, and labels the objects in them."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from small_volumes import (
    AFFINE,
    SHAPE,
    Array,
    label_of,
    read_case,
    refusal,
    settings_of,
    some_image,
    two_islands,
    write_pair,
    write_volume,
)

from adapt.datamodules.medical import medical_source
from adapt.formats import read_nifti, write_itk, write_nifti
from adapt.recipe import HuWindow, Percentile


@pytest.mark.parametrize("stored", ["RAS", "LPS", "LAS", "SPL", "PIR"])
def test_axial_slices_have_anterior_on_top_and_right_on_the_left(tmp_path: Path, stored: str) -> None:
    image = some_image()
    _write_turned(tmp_path, image, stored)
    case = read_case(tmp_path, plane="axial")
    assert len(case.samples) == SHAPE[2]
    for index, sample in enumerate(case.samples):  # upwards
        # Row 0 is the most anterior, column 0 the rightmost.
        np.testing.assert_array_equal(sample.image[..., 0], image[::-1, ::-1, index].T)
        assert sample.spacing == pytest.approx((0.8, 0.5))
        assert sample.slice_of == ("p1", index, pytest.approx(3.0))


@pytest.mark.parametrize("stored", ["RAS", "PIR"])
def test_coronal_slices_have_superior_on_top_and_right_on_the_left(tmp_path: Path, stored: str) -> None:
    image = some_image()
    _write_turned(tmp_path, image, stored)
    case = read_case(tmp_path, plane="coronal")
    assert len(case.samples) == SHAPE[1]
    for index, sample in enumerate(case.samples):  # from front to back
        np.testing.assert_array_equal(sample.image[..., 0], image[::-1, SHAPE[1] - 1 - index, ::-1].T)
        assert sample.spacing == pytest.approx((3.0, 0.5))
        assert sample.slice_of == ("p1", index, pytest.approx(0.8))


@pytest.mark.parametrize("stored", ["RAS", "PIR"])
def test_sagittal_slices_have_superior_on_top_and_anterior_on_the_left(tmp_path: Path, stored: str) -> None:
    image = some_image()
    _write_turned(tmp_path, image, stored)
    case = read_case(tmp_path, plane="sagittal")
    assert len(case.samples) == SHAPE[0]
    for index, sample in enumerate(case.samples):  # from right to left
        np.testing.assert_array_equal(sample.image[..., 0], image[SHAPE[0] - 1 - index, ::-1, ::-1].T)
        assert sample.spacing == pytest.approx((3.0, 0.8))
        assert sample.slice_of == ("p1", index, pytest.approx(0.5))


def _write_turned(root: Path, image: Array, axes: str) -> None:
    """Image and label in other axes than each other; nibabel turns them."""
    for folder, values, codes in (("images", image, axes), ("labels", label_of(), "RAS")):
        nifti = nibabel.Nifti1Image(values, AFFINE)
        there = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(AFFINE), nibabel.orientations.axcodes2ornt(codes)
        )
        (root / folder).mkdir(parents=True)
        nibabel.save(nifti.as_reoriented(there), root / folder / "p1.nii.gz")


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_masks_lie_on_the_pixels_they_label(tmp_path: Path, plane: str) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[5:8, 4:6, 2:4] = 1
    image = np.where(label == 1, 200, 50).astype(np.int16)
    write_pair(tmp_path, image, label)
    case = read_case(tmp_path, plane=plane)
    for sample in case.samples:
        np.testing.assert_array_equal(sample.masks[0], sample.image[..., 0] == 200)
    depth = {"axial": 2, "coronal": 2, "sagittal": 3}[plane]
    assert len(case.samples) == depth
    assert case.empty_images == {"axial": 5, "coronal": 7, "sagittal": 9}[plane] - depth


# Hounsfield units to pixels by hand: (unit - low) * 255 / width.
@pytest.mark.parametrize(
    ("window", "pixels"),
    [
        ("soft_tissue", {-1000: 0, -160: 0, -60: 64, 140: 191, 240: 255, 3000: 255}),  # 63.75, 191.25
        ("lung", {-1350: 0, -850: 85, -350: 170, 150: 255, 1000: 255}),
        ("bone", {-1000: 0, 0: 71, 700: 170, 1300: 255}),  # 70.83
        ([-100.0, 155.0], {-200: 0, -100: 0, 0: 100, 155: 255, 500: 255}),
    ],
)
def test_a_window_turns_hounsfield_units_into_pixels(
    tmp_path: Path, window: str | list[float], pixels: dict[int, int]
) -> None:
    image = np.zeros(SHAPE, dtype=np.int16)
    image[: len(pixels), 0, 0] = list(pixels)
    write_pair(tmp_path, image, label_of())
    lowest = read_case(tmp_path, intensity=HuWindow(kind="hu_window", windows=[window])).samples[0].image
    found = lowest[-1, ::-1][: len(pixels)]  # the most posterior row, from left to right of the patient's axis
    assert found.tolist() == [[value] * 3 for value in pixels.values()]


def test_three_windows_fill_three_channels(tmp_path: Path) -> None:
    write_pair(tmp_path, np.full(SHAPE, -60, dtype=np.int16), label_of())
    windows = HuWindow(kind="hu_window", windows=["soft_tissue", "lung", [-60.0, 40.0]])
    image = read_case(tmp_path, intensity=windows).samples[0].image
    # 63.75; (-60 + 1350) * 255 / 1500 = 219.3; the window's lower end.
    assert np.unique(image.reshape(-1, 3), axis=0).tolist() == [[64, 219, 0]]


def test_percentiles_are_of_the_whole_volume(tmp_path: Path) -> None:
    # 315 voxels of 0..314, so percentile q is 3.14 q: 10 is 31.4, 90 is 282.6, 251.2 apart.
    image = np.random.default_rng(1).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    write_pair(tmp_path, image, label_of())
    case = read_case(tmp_path, intensity=Percentile(kind="percentile", low=10, high=90))
    for index, sample in enumerate(case.samples):
        expected = np.clip((image[::-1, ::-1, index].T - 31.4) * 255 / 251.2, 0, 255)
        assert np.abs(sample.image[..., 0] - expected).max() <= 0.51


def test_each_island_of_a_label_is_an_object(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), two_islands())
    case = read_case(tmp_path, objects="component")
    [sample] = case.samples
    assert sorted(zip(sample.categories, sample.masks.sum((1, 2)).tolist(), strict=True)) == [
        ("liver", 4),
        ("liver", 9),
        ("spleen", 1),
    ]
    assert case.empty_images == SHAPE[2] - 1


def test_a_label_can_be_one_object(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), two_islands())
    [sample] = read_case(tmp_path, objects="label").samples
    assert sample.categories == ("liver", "spleen")
    assert sample.masks.sum((1, 2)).tolist() == [13, 1]


def test_islands_that_touch_at_a_corner_are_one(tmp_path: Path) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[2, 2, 1] = label[3, 3, 1] = 1
    write_pair(tmp_path, some_image(), label)
    [sample] = read_case(tmp_path, objects="component").samples
    assert len(sample.masks) == 1


@pytest.mark.parametrize(("least", "sizes", "small"), [(4, [4, 9], 1), (5, [9], 2), (10, [], 3)])
def test_small_objects_are_left_out_and_counted(tmp_path: Path, least: int, sizes: list[int], small: int) -> None:
    write_pair(tmp_path, some_image(), two_islands())
    case = read_case(tmp_path, objects="component", min_object_pixels=least)
    assert sorted(int(mask.sum()) for sample in case.samples for mask in sample.masks) == sizes
    assert case.small_objects == small
    assert case.empty_images == SHAPE[2] - len(case.samples)


def test_samples_carry_their_name_and_file(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), two_islands(), name="case_7")
    [sample] = read_case(tmp_path, plane="axial").samples
    assert sample.sample_id == "case_7/axial/0001"
    assert sample.source == str(tmp_path / "images" / "case_7.nii.gz")
    assert (sample.group, sample.spacing_unit) == ("case_7", "mm")


@pytest.mark.shared_data
def test_real_volumes_are_cut_into_slices(shared_data: Path) -> None:
    root = shared_data / "medical_ct"
    settings = settings_of(root, labels={"spleen": 1, "liver": 5}, other_labels="ignore", min_object_pixels=16)
    for case in medical_source(settings, root).cases:
        samples = list(case().samples)
        assert samples
        for sample in samples:
            assert set(sample.categories) <= {"spleen", "liver"}


def test_slices_are_made_one_at_a_time(tmp_path: Path) -> None:
    """A volume of a thousand slices must not be held with all its masks."""
    write_pair(tmp_path, some_image(), label_of())
    [read] = medical_source(settings_of(tmp_path), tmp_path).cases
    samples = iter(read().samples)
    assert not isinstance(read().samples, list)
    assert next(samples).sample_id.endswith("0000")
    assert next(samples).sample_id.endswith("0001")


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_other_volume_formats_give_the_same_slices(tmp_path: Path, ending: str) -> None:
    write_pair(tmp_path / "nifti", some_image(), label_of())
    for kind in ("images", "labels"):
        volume = read_nifti(tmp_path / "nifti" / kind / "p1.nii.gz")
        (tmp_path / "other" / kind).mkdir(parents=True)
        write_itk(tmp_path / "other" / kind / f"p1.{ending}", volume.voxels, like=volume)
    expected, found = read_case(tmp_path / "nifti").samples, read_case(tmp_path / "other").samples
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.masks, other.masks)
        assert one.spacing == pytest.approx(other.spacing)


def test_neighbouring_slices_fill_the_three_channels(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image(), label_of())
    plain = [sample.image[..., 0] for sample in read_case(tmp_path).samples]
    stacked = [sample.image for sample in read_case(tmp_path, channels="neighbours").samples]
    assert len(plain) == len(stacked) == SHAPE[2]
    for index, image in enumerate(stacked):
        before, after = max(index - 1, 0), min(index + 1, SHAPE[2] - 1)  # the outermost slice stands in
        np.testing.assert_array_equal(image, np.stack([plain[before], plain[index], plain[after]], axis=-1))


def test_neighbours_leave_no_channel_for_three_windows(tmp_path: Path) -> None:
    three = HuWindow(kind="hu_window", windows=["lung", "soft_tissue", "bone"])
    with pytest.raises(ValueError, match="must be one window"):
        settings_of(tmp_path, channels="neighbours", intensity=three)


def test_one_volume_of_a_4d_image_is_cut(tmp_path: Path) -> None:
    write_pair(tmp_path, np.stack([some_image(), 255 - some_image()], axis=-1), label_of())
    assert "choose one: data.channel=0 to 1" in refusal(tmp_path)
    first, second = (read_case(tmp_path, channel=channel).samples[0].image for channel in (0, 1))
    np.testing.assert_array_equal(first, 255 - second)


def test_a_scaled_volume_is_prepared_without_copies_of_it(tmp_path: Path) -> None:
    """What is stored, what is scaled, a byte a voxel for the label; not a float64 of each."""
    shape = (96, 96, 96)
    voxels = int(np.prod(shape))
    image = nibabel.Nifti1Image(np.full(shape, 1024, dtype=np.int16), AFFINE)
    content = bytearray(image.to_bytes())
    content[112:120] = struct.pack("<ff", 1.0, -1024.0)  # slope and intercept
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "images" / "p1.nii.gz").write_bytes(gzip.compress(content))
    label = np.zeros(shape, dtype=np.uint8)
    label[10:20, 10:20] = 1
    write_volume(tmp_path / "labels" / "p1.nii.gz", label)
    [read] = medical_source(settings_of(tmp_path), tmp_path).cases
    tracemalloc.start()
    try:
        for _ in read().samples:
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < voxels * (2 + 2 + 1) + 2**20  # bytes a voxel; a slice of this size needs less than 1 MiB


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("name", ["Größe 3", "影像", "a.b (1) [x] %20"])
def test_names_and_folders_may_have_any_letters(tmp_path: Path, ending: str, name: str) -> None:
    root = tmp_path / f"Müllers {name}"
    write_pair(tmp_path / "plain", some_image(), label_of())
    volume = read_nifti(tmp_path / "plain" / "images" / "p1.nii.gz")
    for kind, values in (("images", volume.voxels), ("labels", np.ones_like(volume.voxels))):
        (root / kind).mkdir(parents=True)
        write = write_nifti if ending.startswith("nii") else write_itk
        write(root / kind / f"{name}.{ending}", values, like=volume)
    for one, other in zip(read_case(root).samples, read_case(tmp_path / "plain").samples, strict=True):
        assert one.group == name
        np.testing.assert_array_equal(one.image, other.image)


def test_a_2d_image_is_one_slice(tmp_path: Path) -> None:
    write_pair(tmp_path, some_image()[:, :, 3], label_of()[:, :, 3])
    write_pair(tmp_path / "volume", some_image()[:, :, 3:4], label_of()[:, :, 3:4])
    [one], [other] = read_case(tmp_path).samples, read_case(tmp_path / "volume").samples
    np.testing.assert_array_equal(one.image, other.image)
    assert one.masks.all()
