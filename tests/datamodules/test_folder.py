"""2D images and label maps are paired by name, and every unusable pair says what to do."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydantic import ValidationError
from rich.console import Console

from adapt.datamodules import Case
from adapt.datamodules.folder import folder_source
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.recipe import FolderData

Array = npt.NDArray[Any]

COLOUR = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def _labels() -> Array:
    """Value 1 of 36 pixels, 2 of 16, 9 of 4."""
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[2:8, 3:9] = 1
    labels[10:14, 10:14] = 2
    labels[18:20, 28:30] = 9
    return labels


def _write_pair(root: Path, labels: Array, *, name: str = "a", image: Array = COLOUR) -> None:
    for folder, values in (("images", image), ("labels", labels)):
        (root / folder).mkdir(exist_ok=True)
        Image.fromarray(values).save(root / folder / f"{name}.png")


def _settings(root: Path, **changes: object) -> FolderData:
    return FolderData(kind="folder", root=str(root), **changes)


def _read(root: Path, **changes: object) -> Case:
    [case] = folder_source(_settings(root, **changes), root).cases
    return case()


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        for case in folder_source(_settings(root, **changes), root).cases:
            case()
    return str(caught.value)


def test_each_value_is_an_instance(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    [sample] = _read(tmp_path, category="nucleus", min_object_pixels=1).samples
    assert sample.categories == ("nucleus",) * 3
    for mask, value in zip(sample.masks, (1, 2, 9), strict=True):
        np.testing.assert_array_equal(mask, _labels() == value)
    np.testing.assert_array_equal(sample.image, COLOUR)
    assert (sample.group, sample.sample_id, sample.spacing, sample.spacing_unit) == ("a", "a", (1.0, 1.0), "px")
    assert sample.source == str(tmp_path / "images" / "a.png")


def test_each_value_is_a_named_class(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    classes = {"road": 9, "water": 1, "house": 2}
    [sample] = _read(tmp_path, label_kind="classes", labels=classes, min_object_pixels=1).samples
    found = dict(zip(sample.categories, sample.masks.sum((1, 2)).tolist(), strict=True))
    assert found == {"water": 36, "house": 16, "road": 4}


@pytest.mark.parametrize("kind", ["instances", "classes", "masks"])
def test_labels_in_colours_are_one_error_whatever_is_read_of_them(tmp_path: Path, kind: str) -> None:
    for name in "abc":
        _write_pair(tmp_path, np.stack([_labels(), _labels() * 2, _labels() * 3], axis=-1), name=name)
        if kind == "masks":
            (tmp_path / "labels" / name).mkdir()
            (tmp_path / "labels" / f"{name}.png").rename(tmp_path / "labels" / name / f"{name}.png")
    settings = _settings(tmp_path, label_kind=kind, **({"labels": {"cell": 1}} if kind == "classes" else {}))
    quiet = Console(file=io.StringIO())
    with pytest.raises(DataError) as caught:
        open_or_make(folder_source(settings, tmp_path), settings={}, cache=tmp_path / "cache", console=quiet)
    told = str(caught.value).splitlines()
    assert told[0] == "3 of 3 cases cannot be used:" and len(told) == 2
    assert "a.png: a label map has one channel, this image is RGB; store label values, not 4 colours" in told[1]
    assert "(likewise 2 others: " in told[1] and "b.png, " in told[1] and told[1].endswith("c.png)")


def test_a_class_without_a_name_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    message = _refused(tmp_path, label_kind="classes", labels={"water": 1})
    assert "a.png: label values 2, 9 are not named in data.labels (water: 1). Name them" in message


@pytest.mark.parametrize(("least", "kept", "small"), [(4, 3, 0), (16, 2, 1), (17, 1, 2), (37, 0, 3)])
def test_small_objects_are_left_out_and_counted(tmp_path: Path, least: int, kept: int, small: int) -> None:
    _write_pair(tmp_path, _labels())
    case = _read(tmp_path, min_object_pixels=least)
    assert sum(len(sample.masks) for sample in case.samples) == kept
    assert case.small_objects == small
    assert case.empty_images == (kept == 0)


def test_an_image_without_objects_is_counted(tmp_path: Path) -> None:
    _write_pair(tmp_path, np.zeros((20, 30), dtype=np.uint8))
    case = _read(tmp_path)
    assert (case.samples, case.empty_images, case.small_objects) == ([], 1, 0)


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels().T)
    assert "a.png: shapes differ: image (20, 30), label (30, 20) (rows, columns); both must show" in _refused(tmp_path)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("labels/b.png", "1 image without a label of the same name: b"),
        ("images/b.png", "1 label without an image of the same name: b"),
    ],
)
def test_a_missing_partner_is_named(tmp_path: Path, gone: str, told: str) -> None:
    _write_pair(tmp_path, _labels())
    _write_pair(tmp_path, _labels(), name="b")
    (tmp_path / gone).unlink()
    assert told in _refused(tmp_path)


def test_partners_may_have_other_suffixes(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    (tmp_path / "images" / "a.png").rename(tmp_path / "images" / "a.PNG")
    Image.fromarray(_labels()).save(tmp_path / "labels" / "a.tif")
    (tmp_path / "labels" / "a.png").unlink()
    assert len(_read(tmp_path).samples) == 1


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    Image.fromarray(COLOUR).save(tmp_path / "images" / "a.tif")
    assert "images: two files are called a: a.png and a.tif; keep one" in _refused(tmp_path)


def test_the_limit_of_pixels_is_kept(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    assert "30 x 20 pixels are more than data.max_image_pixels (599)" in _refused(tmp_path, max_image_pixels=599)


def test_an_empty_folder_is_told_with_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    assert "no image found; .png, .jpg, .jpeg, .tif, .tiff, .bmp files are read" in _refused(tmp_path)


def test_tiles_of_a_scene_are_one_group(tmp_path: Path) -> None:
    for name in ("north_1", "north_2", "south_1"):
        _write_pair(tmp_path, _labels(), name=name)
    cases = folder_source(_settings(tmp_path, group_pattern="^([a-z]+)_"), tmp_path).cases
    assert [case().samples[0].group for case in cases] == ["north", "north", "south"]


@pytest.mark.shared_data
def test_real_nuclei_are_instances(shared_data: Path) -> None:
    root = shared_data / "microscopy_nuclei"
    settings = _settings(root, label_folder="masks", min_object_pixels=1)
    for case in folder_source(settings, root).cases[:6]:
        [sample] = case().samples
        assert (sample.masks.sum(0) <= 1).all()  # a pixel has one value
        assert len(sample.masks) > 1


def _two_regions(value: int) -> Array:
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[2:8, 3:9] = labels[10:18, 12:28] = value
    return labels


def test_regions_of_a_class_are_objects_of_their_own_unless_the_label_is_wanted_whole(tmp_path: Path) -> None:
    _write_pair(tmp_path, _two_regions(1))
    [sample] = _read(tmp_path, label_kind="classes", labels={"roof": 1}).samples
    assert sample.masks.sum((1, 2)).tolist() == [36, 128]
    [sample] = _read(tmp_path, label_kind="classes", labels={"roof": 1}, objects="label").samples
    assert sample.masks.sum((1, 2)).tolist() == [164]


def test_a_binary_mask_is_not_taken_for_one_instance(tmp_path: Path) -> None:
    _write_pair(tmp_path, _two_regions(255))
    text = _refused(tmp_path, category="cell")
    assert "data.label_kind=classes data.labels={cell: 255}" in text
    [sample] = _read(tmp_path, label_kind="classes", labels={"cell": 255}).samples
    assert sample.categories == ("cell", "cell")


def test_one_object_may_have_the_value_255(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), dtype=np.uint8)
    labels[2:8, 3:9] = 255
    _write_pair(tmp_path, labels)
    assert len(_read(tmp_path).samples[0].masks) == 1


def test_other_classes_can_be_ignored(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    classes = {"label_kind": "classes", "labels": {"water": 1}}
    assert "2, 9 are not named" in _refused(tmp_path, **classes)
    [sample] = _read(tmp_path, **classes, other_labels="ignore").samples
    assert sample.categories == ("water",)


def test_a_label_map_saved_as_jpeg_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    (tmp_path / "labels" / "a.png").unlink()
    Image.fromarray(_labels()).save(tmp_path / "labels" / "a.jpg")
    assert "JPEG changes label values" in _refused(tmp_path)


def test_values_may_be_as_large_as_they_like(tmp_path: Path) -> None:
    _write_pair(tmp_path, np.zeros((20, 30), dtype=np.uint8))
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[2:8, 3:9], labels[0, 0] = 2_000_000_000, 5
    (tmp_path / "labels" / "a.png").unlink()
    Image.fromarray(labels).save(tmp_path / "labels" / "a.tif")
    case = _read(tmp_path)
    assert case.samples[0].masks.sum() == 36
    assert case.small_objects == 1


def _write_masks(root: Path, **files: Array) -> None:
    """An image, and its mask files by their path below `labels`, with / written as __."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "labels" / "a").mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLOUR).save(root / "images" / "a.png")
    for name, values in files.items():
        path = root / "labels" / f"{name.replace('__', '/')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


def _mask(value: int, top: int = 2) -> Array:
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[top : top + 8, 3:13] = value
    return mask


def test_each_mask_file_is_one_object_and_overlaps_stay(tmp_path: Path) -> None:
    _write_masks(tmp_path, a__1=_mask(255), a__2=_mask(1, top=6), a__3=_mask(0))
    case = _read(tmp_path, label_kind="masks", category="nucleus")
    [sample] = case.samples
    assert sample.categories == ("nucleus", "nucleus")
    np.testing.assert_array_equal(sample.masks, np.stack([_mask(1), _mask(1, top=6)]) > 0)
    assert (sample.masks[0] & sample.masks[1]).any()
    assert case.small_objects == 1  # a mask without a pixel


def test_a_mask_of_several_regions_is_still_one_object(tmp_path: Path) -> None:
    _write_masks(tmp_path, a__1=_two_regions(255))
    [sample] = _read(tmp_path, label_kind="masks").samples
    assert len(sample.masks) == 1


def test_folders_of_masks_name_categories(tmp_path: Path) -> None:
    _write_masks(tmp_path, a__1=_mask(255), a__cell__1=_mask(255, top=6), a__dust__1=_mask(255, top=9))
    [sample] = _read(tmp_path, label_kind="masks").samples
    assert sample.categories == ("object", "cell", "dust")
    source = folder_source(_settings(tmp_path, label_kind="masks"), tmp_path)
    assert len(source.inputs) == 4  # every mask file is one


def test_an_empty_folder_of_masks_is_an_image_without_objects(tmp_path: Path) -> None:
    _write_masks(tmp_path)
    (tmp_path / "labels" / "a" / "notes.txt").write_text("none", encoding="utf-8")
    assert _read(tmp_path, label_kind="masks").empty_images == 1


def test_masks_of_another_size_or_without_an_image_are_named(tmp_path: Path) -> None:
    _write_masks(tmp_path, a__1=_mask(255), a__2=_mask(255).T)
    text = _refused(tmp_path, label_kind="masks")
    assert "a/2.png: shapes differ: image (20, 30), label (30, 20)" in text
    (tmp_path / "labels" / "b").mkdir()
    assert "1 label without an image of the same name: b" in _refused(tmp_path, label_kind="masks")


def test_names_of_classes_belong_to_classes_only(tmp_path: Path) -> None:
    for kind in ("instances", "masks"):
        with pytest.raises(ValidationError, match="labels is read with label_kind classes only"):
            _settings(tmp_path, label_kind=kind, labels={"roof": 1})
    with pytest.raises(ValidationError, match="label_kind classes needs labels"):
        _settings(tmp_path, label_kind="classes")


@pytest.mark.parametrize("name", ["a b", "größe 漢字", "[1] (x)"])
def test_any_name_and_uppercase_endings_are_paired(tmp_path: Path, name: str) -> None:
    root = tmp_path / "my data"
    root.mkdir()
    _write_pair(root, _labels(), name=name)
    (root / "images" / f"{name}.png").rename(root / "images" / f"{name}.PNG")
    assert _read(root).samples[0].sample_id == name


@pytest.mark.parametrize("kind", ["instances", "masks"])
def test_a_folder_that_links_to_itself_is_not_entered_again(tmp_path: Path, kind: str) -> None:
    _write_pair(tmp_path, _labels())
    _write_masks(tmp_path, a__1=_mask(255))
    for place in ("images", "labels"):
        (tmp_path / place / "again").symlink_to(tmp_path / place)
    if kind == "masks":
        (tmp_path / "labels" / "again").unlink()
        (tmp_path / "labels" / "a" / "again").symlink_to(tmp_path / "labels" / "a")
    [sample] = _read(tmp_path, label_kind=kind).samples
    assert sample.sample_id == "a"


def test_a_label_that_links_to_itself_is_named(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    (tmp_path / "labels" / "a.png").unlink()
    (tmp_path / "labels" / "a.png").symlink_to(tmp_path / "labels" / "a.png")
    assert "a.png: cannot be read as an image" in _refused(tmp_path)


def test_label_maps_read_as_folders_of_masks_are_told(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    assert "labels: holds no folder, but data.label_kind=masks" in _refused(tmp_path, label_kind="masks")


def test_a_folder_called_like_an_image_is_refused(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images" / "a.png").mkdir()
    assert "a.png: cannot be read as an image (Is a directory); copy it again" in _refused(tmp_path)


def test_two_classes_cannot_share_a_value(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"two names share a value \(a: 1, b: 1\)"):
        _settings(tmp_path, label_kind="classes", labels={"a": 1, "b": 1})


def test_what_has_no_partner_can_be_skipped_by_name(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        _write_pair(tmp_path, _labels(), name=name)
    (tmp_path / "labels" / "b.png").unlink()
    (tmp_path / "images" / "c.png").unlink()
    told = []
    cases = folder_source(_settings(tmp_path, on_error="skip"), tmp_path).cases
    for case in cases:
        try:
            case()
        except DataError as error:
            told.append(str(error).removeprefix(f"{tmp_path}/"))
    assert len(cases) == 3
    assert told == [
        "images/b.png: is without a label of the same name",
        "labels/c.png: is without an image of the same name",
    ]


# --------------------------------------------------------------------------------------------- suffixes


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_labels_that_all_end_otherwise_are_told_once_with_the_suffix(tmp_path: Path, on_error: str) -> None:
    for name in ("a", "b"):
        _write_pair(tmp_path, _labels(), name=name)
        (tmp_path / f"labels/{name}.png").rename(tmp_path / f"labels/{name}_mask.png")
    assert _refused(tmp_path, on_error=on_error) == (
        f"{tmp_path}: no label has the name of an image: 2 images such as a, 2 labels such as a_mask. "
        "Give both the same name, or set data.label_suffix=_mask"
    )
    assert len(folder_source(_settings(tmp_path, label_suffix="_mask"), tmp_path).cases) == 2


def test_images_and_labels_lie_in_one_folder(tmp_path: Path) -> None:
    _write_pair(tmp_path, _labels())
    (tmp_path / "labels/a.png").rename(tmp_path / "images/a_mask.png")
    one = {"image_folder": "images", "label_folder": "images"}
    [sample] = _read(tmp_path, **one, label_suffix="_mask").samples
    np.testing.assert_array_equal(sample.image, COLOUR)
    assert "holds images and labels; set data.label_suffix" in _refused(tmp_path, **one)
