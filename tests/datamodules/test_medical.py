"""Volumes become slices as radiologists look at them, and every unusable case says what to do."""

import gzip
import io
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from rich.console import Console

from adapt.datamodules import Case, split_groups
from adapt.datamodules.medical import medical_source
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.formats import read_nifti, write_itk, write_nifti
from adapt.recipe import HuWindow, MedicalData, Percentile, SplitSettings

Array = npt.NDArray[Any]

SHAPE = (9, 7, 5)
"""Voxels to the patient's right, anterior and superior (RAS+): all sides differ."""
SPACING = (0.5, 0.8, 3.0)
AFFINE = np.diag([*SPACING, 1.0])
PLAIN = HuWindow(kind="hu_window", windows=[[0.0, 255.0]])
"""Voxels of 0..255 become the same pixels."""
LABELS = {"liver": 1, "spleen": 2}


def _settings(root: Path, **changes: object) -> MedicalData:
    given: dict[str, Any] = {"labels": LABELS, "intensity": PLAIN, "objects": "label", "min_object_pixels": 1}
    return MedicalData(kind="medical", root=str(root), **(given | changes))


def _write(path: Path, values: Array, affine: Array = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def _write_pair(root: Path, image: Array, label: Array, *, name: str = "p1", label_affine: Array = AFFINE) -> None:
    """Arrays with axes right, anterior, superior."""
    _write(root / "images" / f"{name}.nii.gz", image)
    _write(root / "labels" / f"{name}.nii.gz", label, label_affine)


def _image() -> Array:
    """Each voxel its own value, 0..255 at most where it is compared."""
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.int16)


def _label(value: int = 1) -> Array:
    return np.full(SHAPE, value, dtype=np.uint8)


def _read(root: Path, **changes: object) -> Case:
    [read] = medical_source(_settings(root, **changes), root).cases
    case = read()
    samples = list(case.samples)  # the counts are complete after the last one
    return Case(samples=samples, empty_images=case.empty_images, small_objects=case.small_objects)


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        for case in medical_source(_settings(root, **changes), root).cases:
            list(case().samples)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ pictures


@pytest.mark.parametrize("stored", ["RAS", "LPS", "LAS", "SPL", "PIR"])
def test_axial_slices_have_anterior_on_top_and_right_on_the_left(tmp_path: Path, stored: str) -> None:
    image = _image()
    _write_turned(tmp_path, image, stored)
    case = _read(tmp_path, plane="axial")
    assert len(case.samples) == SHAPE[2]
    for index, sample in enumerate(case.samples):  # upwards
        # Row 0 is the most anterior, column 0 the rightmost.
        np.testing.assert_array_equal(sample.image[..., 0], image[::-1, ::-1, index].T)
        assert sample.spacing == pytest.approx((0.8, 0.5))
        assert sample.slice_of == ("p1", index, pytest.approx(3.0))


@pytest.mark.parametrize("stored", ["RAS", "PIR"])
def test_coronal_slices_have_superior_on_top_and_right_on_the_left(tmp_path: Path, stored: str) -> None:
    image = _image()
    _write_turned(tmp_path, image, stored)
    case = _read(tmp_path, plane="coronal")
    assert len(case.samples) == SHAPE[1]
    for index, sample in enumerate(case.samples):  # from front to back
        np.testing.assert_array_equal(sample.image[..., 0], image[::-1, SHAPE[1] - 1 - index, ::-1].T)
        assert sample.spacing == pytest.approx((3.0, 0.5))
        assert sample.slice_of == ("p1", index, pytest.approx(0.8))


@pytest.mark.parametrize("stored", ["RAS", "PIR"])
def test_sagittal_slices_have_superior_on_top_and_anterior_on_the_left(tmp_path: Path, stored: str) -> None:
    image = _image()
    _write_turned(tmp_path, image, stored)
    case = _read(tmp_path, plane="sagittal")
    assert len(case.samples) == SHAPE[0]
    for index, sample in enumerate(case.samples):  # from right to left
        np.testing.assert_array_equal(sample.image[..., 0], image[SHAPE[0] - 1 - index, ::-1, ::-1].T)
        assert sample.spacing == pytest.approx((3.0, 0.8))
        assert sample.slice_of == ("p1", index, pytest.approx(0.5))


def _write_turned(root: Path, image: Array, axes: str) -> None:
    """Image and label in other axes than each other; nibabel turns them."""
    for folder, values, codes in (("images", image, axes), ("labels", _label(), "RAS")):
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
    _write_pair(tmp_path, image, label)
    case = _read(tmp_path, plane=plane)
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
    _write_pair(tmp_path, image, _label())
    lowest = _read(tmp_path, intensity=HuWindow(kind="hu_window", windows=[window])).samples[0].image
    found = lowest[-1, ::-1][: len(pixels)]  # the most posterior row, from left to right of the patient's axis
    assert found.tolist() == [[value] * 3 for value in pixels.values()]


def test_three_windows_fill_three_channels(tmp_path: Path) -> None:
    _write_pair(tmp_path, np.full(SHAPE, -60, dtype=np.int16), _label())
    windows = HuWindow(kind="hu_window", windows=["soft_tissue", "lung", [-60.0, 40.0]])
    image = _read(tmp_path, intensity=windows).samples[0].image
    # 63.75; (-60 + 1350) * 255 / 1500 = 219.3; the window's lower end.
    assert np.unique(image.reshape(-1, 3), axis=0).tolist() == [[64, 219, 0]]


def test_percentiles_are_of_the_whole_volume(tmp_path: Path) -> None:
    # 315 voxels of 0..314, so percentile q is 3.14 q: 10 is 31.4, 90 is 282.6, 251.2 apart.
    image = np.random.default_rng(1).permutation(np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    _write_pair(tmp_path, image, _label())
    case = _read(tmp_path, intensity=Percentile(kind="percentile", low=10, high=90))
    for index, sample in enumerate(case.samples):
        expected = np.clip((image[::-1, ::-1, index].T - 31.4) * 255 / 251.2, 0, 255)
        assert np.abs(sample.image[..., 0] - expected).max() <= 0.51


# ------------------------------------------------------------------------------------------- objects


def _two_islands() -> Array:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[0:2, 0:2, 1] = 1  # 4 pixels
    label[5:8, 4:7, 1] = 1  # 9 pixels
    label[8, 0, 1] = 2  # 1 pixel
    return label


def test_each_island_of_a_label_is_an_object(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _two_islands())
    case = _read(tmp_path, objects="component")
    [sample] = case.samples
    assert sorted(zip(sample.categories, sample.masks.sum((1, 2)).tolist(), strict=True)) == [
        ("liver", 4),
        ("liver", 9),
        ("spleen", 1),
    ]
    assert case.empty_images == SHAPE[2] - 1


def test_a_label_can_be_one_object(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _two_islands())
    [sample] = _read(tmp_path, objects="label").samples
    assert sample.categories == ("liver", "spleen")
    assert sample.masks.sum((1, 2)).tolist() == [13, 1]


def test_islands_that_touch_at_a_corner_are_one(tmp_path: Path) -> None:
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[2, 2, 1] = label[3, 3, 1] = 1
    _write_pair(tmp_path, _image(), label)
    [sample] = _read(tmp_path, objects="component").samples
    assert len(sample.masks) == 1


@pytest.mark.parametrize(("least", "sizes", "small"), [(4, [4, 9], 1), (5, [9], 2), (10, [], 3)])
def test_small_objects_are_left_out_and_counted(tmp_path: Path, least: int, sizes: list[int], small: int) -> None:
    _write_pair(tmp_path, _image(), _two_islands())
    case = _read(tmp_path, objects="component", min_object_pixels=least)
    assert sorted(int(mask.sum()) for sample in case.samples for mask in sample.masks) == sizes
    assert case.small_objects == small
    assert case.empty_images == SHAPE[2] - len(case.samples)


def test_samples_carry_their_name_and_file(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _two_islands(), name="case_7")
    [sample] = _read(tmp_path, plane="axial").samples
    assert sample.sample_id == "case_7/axial/0001"
    assert sample.source == str(tmp_path / "images" / "case_7.nii.gz")
    assert (sample.group, sample.spacing_unit) == ("case_7", "mm")


# -------------------------------------------------------------------------------------------- groups


def test_the_scans_of_a_patient_stay_together(tmp_path: Path) -> None:
    for patient in "abcd":
        for scan in (1, 2):
            _write_pair(tmp_path, _image(), _label(), name=f"{patient}_scan{scan}")
    settings = _settings(tmp_path, group_pattern=r"^([a-z])_")
    source = medical_source(settings, tmp_path)
    console = Console(file=io.StringIO())
    store = open_or_make(source, settings={}, cache=tmp_path / "cache", console=console)
    splits = split_groups(store.groups, SplitSettings(), seed=0)
    parts = [
        {store.sample(row).source for row, group in enumerate(store.groups) if group in part}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert [len(part) for part in parts] == [4, 2, 2]  # two scans a patient
    patients = [{Path(file).name[0] for file in part} for part in parts]
    assert sum(len(part) for part in patients) == len(set.union(*patients)) == 4


def test_a_pattern_that_finds_no_patient_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label(), name="liver7")
    assert "data.group_pattern '(p\\\\d+)_' finds no group in the case name 'liver7'; correct it" in _refused(
        tmp_path, group_pattern=r"(p\d+)_"
    )


def _patient_folders(root: Path) -> Path:
    """Two patients, of whom one came twice; an image of another sequence beside each."""
    for case in ("P1/day1", "P1/day2", "P2/day1"):
        _write(root / f"{case}_t1.nii.gz", _image())
        _write(root / f"{case}_flair.nii.gz", _image())
        _write(root / f"{case}_seg.nii.gz", _label())
    return root


def test_patients_have_folders_with_images_and_labels_side_by_side(tmp_path: Path) -> None:
    settings = _settings(
        _patient_folders(tmp_path), image_folder=".", label_folder=".", image_suffix="_t1", label_suffix="_seg"
    )
    source = medical_source(settings, tmp_path)
    samples = [next(iter(case().samples)) for case in source.cases]
    assert [sample.sample_id for sample in samples] == [
        f"{name}/axial/0000" for name in ("P1/day1", "P1/day2", "P2/day1")
    ]
    assert [sample.group for sample in samples] == ["P1", "P1", "P2"]
    assert not [path for path in source.inputs if "flair" in path.name]


def test_a_pattern_goes_before_the_folder_of_the_patient(tmp_path: Path) -> None:
    for name in ("site/P1_a", "site/P2_a"):
        _write_pair(tmp_path, _image(), _label(), name=name)
    source = medical_source(_settings(tmp_path, group_pattern="(P[0-9])_"), tmp_path)
    assert [next(iter(case().samples)).group for case in source.cases] == ["P1", "P2"]


def test_images_and_labels_in_one_folder_need_a_suffix(tmp_path: Path) -> None:
    told = _refused(_patient_folders(tmp_path), image_folder=".", label_folder=".")
    assert "holds images and labels; set data.label_suffix" in told


def test_a_suffix_that_no_name_ends_in_is_named(tmp_path: Path) -> None:
    folders = {"image_folder": ".", "label_folder": "."}
    _patient_folders(tmp_path)
    assert "whose names end in data.image_suffix=_t2" in _refused(
        tmp_path, **folders, image_suffix="_t2", label_suffix="_seg"
    )
    assert "holds no labels whose names end in data.label_suffix=_mask" in _refused(
        tmp_path, **folders, image_suffix="_t1", label_suffix="_mask"
    )


# ------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("labels/p2.nii.gz", "1 image without a label of the same name: p2. Give both the same name, or remove them"),
        ("images/p2.nii.gz", "1 label without an image of the same name: p2. Give both the same name, or remove them"),
    ],
)
def test_a_missing_partner_is_named(tmp_path: Path, missing: str, told: str) -> None:
    for name in ("p1", "p2"):
        _write_pair(tmp_path, _image(), _label(), name=name)
    (tmp_path / missing).unlink()
    assert told in _refused(tmp_path)


def test_the_two_suffixes_are_partners(tmp_path: Path) -> None:
    _write(tmp_path / "images" / "p1.nii", _image())
    _write(tmp_path / "labels" / "p1.nii.gz", _label())
    assert len(_read(tmp_path).samples) == SHAPE[2]


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label())
    _write(tmp_path / "images" / "p1.nii", _image())
    assert "two files are called p1: p1.nii and p1.nii.gz; keep one" in _refused(tmp_path)


def test_files_of_the_desktop_are_passed_over(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label())
    (tmp_path / "images" / "._p1.nii.gz").write_bytes(b"resource fork")  # macOS writes these on foreign disks
    (tmp_path / "images" / "notes.txt").write_text("x")
    assert len(_read(tmp_path).samples) == SHAPE[2]


def test_a_missing_root_is_told_with_its_key(tmp_path: Path) -> None:
    message = _refused(tmp_path / "gone")
    assert re.search(r"data\.root: no folder .*gone .*set data\.root=/your/data", message)


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_missing_folder_is_told_with_its_key_and_what_is_there(tmp_path: Path, kind: str) -> None:
    _write_pair(tmp_path, _image(), _label())
    message = _refused(tmp_path, **{f"{kind}_folder": "scans"})
    assert re.search(rf"data\.{kind}_folder: no folder .*scans; .* holds: images, labels", message)


def test_a_root_without_anything_is_not_offered_as_a_choice(tmp_path: Path) -> None:
    message = _refused(tmp_path)
    assert "is empty: set data.root to the folder of your data" in message
    assert "one of them" not in message


def test_an_empty_folder_is_told_with_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    assert re.search(r"no image found; volumes .* DICOM series are read", _refused(tmp_path))


def test_another_shape_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label()[:, :, :4])
    message = _refused(tmp_path)
    assert message.startswith("p1: image and label do not match: shapes differ: (5, 7, 9) in p1.nii.gz, (4, 7, 9)")
    assert message.endswith("Resample the label to the image")


def test_another_place_is_refused(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[2, 3] = 6.0
    _write_pair(tmp_path, _image(), _label(), label_affine=moved)
    assert "p1: image and label do not match: affines differ by up to 6 mm" in _refused(tmp_path)


def test_a_label_value_without_a_name_is_refused(tmp_path: Path) -> None:
    label = _label()
    label[0, 0, 0], label[1, 0, 0] = 7, 9
    _write_pair(tmp_path, _image(), label)
    message = _refused(tmp_path)
    assert "p1.nii.gz: label values 7, 9 are not named in data.labels (liver: 1, spleen: 2)" in message
    assert "Name them, or set data.other_labels=ignore" in message
    case = _read(tmp_path, other_labels="ignore")
    assert {name for sample in case.samples for name in sample.categories} == {"liver"}
    assert sum(int(sample.masks.sum()) for sample in case.samples) == np.prod(SHAPE) - 2


@pytest.mark.parametrize(("value", "found"), [(0, ""), (7, "; it has the values 7")])
def test_a_label_without_a_labelled_voxel_is_refused(tmp_path: Path, value: int, found: str) -> None:
    _write_pair(tmp_path, _image(), _label(value))
    message = _refused(tmp_path, other_labels="ignore")
    expected = f"p1.nii.gz: no voxel is labelled liver or spleen{found}. Remove the case, or correct data.labels"
    assert expected in message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    image = _image().astype(np.float32)
    image[1, 2, 3] = image[4, 4, 4] = bad
    _write_pair(tmp_path, image, _label())
    assert "p1.nii.gz: 2 of 315 voxels are NaN or infinite; replace them" in _refused(tmp_path)


@pytest.mark.parametrize(("bad", "shown"), [(0.5, "0.5"), (np.nan, "nan"), (-np.inf, "-inf"), (1e30, "1e+30")])
def test_label_values_that_are_not_whole_are_refused(tmp_path: Path, bad: float, shown: str) -> None:
    label = _label().astype(np.float32)
    label[1, 2, 3] = bad
    _write_pair(tmp_path, _image(), label)
    message = _refused(tmp_path)
    assert f"p1.nii.gz: label values are not whole numbers (first: {shown})" in message
    assert "resample them with nearest neighbour" in message


def test_whole_label_values_stored_as_float_are_accepted(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _two_islands().astype(np.float64))
    [sample] = _read(tmp_path).samples
    assert sample.masks.sum((1, 2)).tolist() == [13, 1]


# --------------------------------------------------------------------------------------------- DICOM


def _write_series(folder: Path, values: Array) -> None:
    """The volume that `_write` stores, as DICOM: rows run back and columns to the left, from slice to slice up."""
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


def test_a_folder_of_dicom_is_an_image(tmp_path: Path) -> None:
    _write_series(tmp_path / "images" / "p1", _image())
    _write(tmp_path / "labels" / "p1.nii.gz", _two_islands())
    from_series = _read(tmp_path, objects="component")
    (tmp_path / "nifti").mkdir()
    _write_pair(tmp_path / "nifti", _image(), _two_islands())
    from_nifti = _read(tmp_path / "nifti", objects="component")
    [one], [other] = from_series.samples, from_nifti.samples
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.masks, other.masks)


def test_every_file_of_a_series_is_an_input(tmp_path: Path) -> None:
    _write_series(tmp_path / "images" / "p1", _image())
    _write(tmp_path / "labels" / "p1.nii.gz", _label())
    inputs = medical_source(_settings(tmp_path), tmp_path).inputs
    assert len(inputs) == SHAPE[2] + 1  # a slice that changes must make a new store


@pytest.mark.shared_data
def test_real_volumes_are_cut_into_slices(shared_data: Path) -> None:
    root = shared_data / "medical_ct"
    settings = _settings(root, labels={"spleen": 1, "liver": 5}, other_labels="ignore", min_object_pixels=16)
    for case in medical_source(settings, root).cases:
        samples = list(case().samples)
        assert samples
        for sample in samples:
            assert set(sample.categories) <= {"spleen", "liver"}


def test_slices_are_made_one_at_a_time(tmp_path: Path) -> None:
    """A volume of a thousand slices must not be held with all its masks."""
    _write_pair(tmp_path, _image(), _label())
    [read] = medical_source(_settings(tmp_path), tmp_path).cases
    samples = iter(read().samples)
    assert not isinstance(read().samples, list)
    assert next(samples).sample_id.endswith("0000")
    assert next(samples).sample_id.endswith("0001")


@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_other_volume_formats_give_the_same_slices(tmp_path: Path, ending: str) -> None:
    _write_pair(tmp_path / "nifti", _image(), _label())
    for kind in ("images", "labels"):
        volume = read_nifti(tmp_path / "nifti" / kind / "p1.nii.gz")
        (tmp_path / "other" / kind).mkdir(parents=True)
        write_itk(tmp_path / "other" / kind / f"p1.{ending}", volume.voxels, like=volume)
    expected, found = _read(tmp_path / "nifti").samples, _read(tmp_path / "other").samples
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.masks, other.masks)
        assert one.spacing == pytest.approx(other.spacing)


def test_neighbouring_slices_fill_the_three_channels(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label())
    plain = [sample.image[..., 0] for sample in _read(tmp_path).samples]
    stacked = [sample.image for sample in _read(tmp_path, channels="neighbours").samples]
    assert len(plain) == len(stacked) == SHAPE[2]
    for index, image in enumerate(stacked):
        before, after = max(index - 1, 0), min(index + 1, SHAPE[2] - 1)  # the outermost slice stands in
        np.testing.assert_array_equal(image, np.stack([plain[before], plain[index], plain[after]], axis=-1))


def test_neighbours_leave_no_channel_for_three_windows(tmp_path: Path) -> None:
    three = HuWindow(kind="hu_window", windows=["lung", "soft_tissue", "bone"])
    with pytest.raises(ValueError, match="must be one window"):
        _settings(tmp_path, channels="neighbours", intensity=three)


def test_one_volume_of_a_4d_image_is_cut(tmp_path: Path) -> None:
    _write_pair(tmp_path, np.stack([_image(), 255 - _image()], axis=-1), _label())
    assert "choose one: data.channel=0 to 1" in _refused(tmp_path)
    first, second = (_read(tmp_path, channel=channel).samples[0].image for channel in (0, 1))
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
    _write(tmp_path / "labels" / "p1.nii.gz", label)
    [read] = medical_source(_settings(tmp_path), tmp_path).cases
    tracemalloc.start()
    try:
        for _ in read().samples:
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < voxels * (2 + 2 + 1) + 2**20  # bytes a voxel; a slice of this size needs less than 1 MiB


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_volumes_larger_than_the_limit_are_refused(tmp_path: Path, kind: str) -> None:
    _write_pair(tmp_path, _image(), _label())
    _write(tmp_path / kind / "p1.nii.gz", np.zeros((20, 7, 5), dtype=np.int16))
    message = _refused(tmp_path, max_voxels=_image().size)
    assert f"{kind}/p1.nii.gz: 20 x 7 x 5 voxels are more than data.max_voxels (315)" in message


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
@pytest.mark.parametrize("name", ["Größe 3", "影像", "a.b (1) [x] %20"])
def test_names_and_folders_may_have_any_letters(tmp_path: Path, ending: str, name: str) -> None:
    root = tmp_path / f"Müllers {name}"
    _write_pair(tmp_path / "plain", _image(), _label())
    volume = read_nifti(tmp_path / "plain" / "images" / "p1.nii.gz")
    for kind, values in (("images", volume.voxels), ("labels", np.ones_like(volume.voxels))):
        (root / kind).mkdir(parents=True)
        write = write_nifti if ending.startswith("nii") else write_itk
        write(root / kind / f"{name}.{ending}", values, like=volume)
    for one, other in zip(_read(root).samples, _read(tmp_path / "plain").samples, strict=True):
        assert one.group == name
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("name", ["Größe 3", "影像", "a.b (1) [x] %20"])
def test_names_of_a_series_may_have_any_letters(tmp_path: Path, name: str) -> None:
    _write_series(tmp_path / "images" / name, _image())
    _write(tmp_path / "labels" / f"{name}.nii.gz", _label())
    assert {sample.group for sample in _read(tmp_path).samples} == {name}


def test_a_folder_linked_into_itself_is_told_as_unpaired(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label())
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images", target_is_directory=True)
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images" / "loop")  # leads nowhere, has no ending
    assert "1 image without a label of the same name: again" in _refused(tmp_path)


def test_a_volume_that_is_linked_to_itself_is_named(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image(), _label())
    (tmp_path / "images" / "p1.nii.gz").unlink()
    (tmp_path / "images" / "p1.nii.gz").symlink_to(tmp_path / "images" / "p1.nii.gz")
    assert "p1.nii.gz: cannot be read as NIfTI" in _refused(tmp_path)


def test_a_2d_image_is_one_slice(tmp_path: Path) -> None:
    _write_pair(tmp_path, _image()[:, :, 3], _label()[:, :, 3])
    _write_pair(tmp_path / "volume", _image()[:, :, 3:4], _label()[:, :, 3:4])
    [one], [other] = _read(tmp_path).samples, _read(tmp_path / "volume").samples
    np.testing.assert_array_equal(one.image, other.image)
    assert one.masks.all()
