"""YOLO folders in every layout: images find their labels, and every unusable folder says what to do."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.datamodules import Case, Source
from adapt.datamodules.yolo import yolo_source
from adapt.errors import DataError
from adapt.recipe import YoloData

HEIGHT, WIDTH = 40, 60
NAMES = "names: [roof, tree]\n"
SQUARE = "0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"  # x 6 to 30, y 4 to 20
CROSSING = "0.3 0.3 0.8 0.3 0.8 0.8 0.3 0.8"
SPECK = "0.9 0.9 0.93 0.9 0.93 0.93 0.9 0.93"


def _write(root: Path, image: str, label: str | None = None, text: str = "", names: str = NAMES) -> None:
    for name in (image, label or image):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / image)
    if label is not None:
        (root / label).write_text(text, encoding="utf-8")
    (root / "data.yaml").write_text(names, encoding="utf-8")


def _source(root: Path, **changes: object) -> Source:
    return yolo_source(YoloData(kind="yolo", root=str(root), **changes), root)


def _cases(root: Path, **changes: object) -> list[Case]:
    return [case() for case in _source(root, **changes).cases]


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        _cases(root, **changes)
    return str(caught.value)


def test_objects_overlap_and_small_ones_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}\n1 {CROSSING}\n1 {SPECK}\n")
    [case] = _cases(tmp_path)
    [sample] = case.samples
    assert sample.categories == ("roof", "tree")
    expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
    expected[4:20, 6:30] = True
    np.testing.assert_array_equal(sample.masks[0], expected)
    assert (sample.masks[0] & sample.masks[1]).any()
    assert (case.small_objects, sample.sample_id, sample.group) == (1, "a", "a")


@pytest.mark.parametrize(
    ("image", "label", "name"),
    [
        ("images/a.png", "labels/a.txt", "a"),
        ("images/train/a.png", "labels/train/a.txt", "train/a"),
        ("train/images/a.png", "train/labels/a.txt", "train/a"),
        ("images/train/site 1/ä b.PNG", "labels/train/site 1/ä b.txt", "train/site 1/ä b"),
        ("images/x/images/a.png", "images/x/labels/a.txt", "images/x/a"),
        ("images/a.b.jpg", "labels/a.b.txt", "a.b"),
    ],
)
def test_an_image_finds_its_labels_in_each_layout(tmp_path: Path, image: str, label: str, name: str) -> None:
    _write(tmp_path / "my data", image, label, f"0 {SQUARE}")
    [case] = _cases(tmp_path / "my data")
    [sample] = case.samples
    assert sample.sample_id == name
    assert sample.source.endswith(image)


def test_an_image_without_labels_has_no_object(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}")
    _write(tmp_path, "images/b.png", "labels/b.txt", "")
    _write(tmp_path, "images/c.png")
    assert [(len(list(case.samples)), case.empty_images) for case in _cases(tmp_path)] == [(1, 0), (0, 1), (0, 1)]


def test_every_file_that_is_read_is_an_input(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}")
    _write(tmp_path, "images/c.png")
    (tmp_path / "labels" / "classes.txt").write_text("roof\ntree\n", encoding="utf-8")
    found = {path.relative_to(tmp_path).as_posix() for path in _source(tmp_path).inputs}
    assert found == {"data.yaml", "images/a.png", "images/c.png", "labels/a.txt"}


def test_the_recipe_may_name_the_classes(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"1 {SQUARE}")
    (tmp_path / "data.yaml").unlink()
    assert "data.yaml: no such file; set data.names_file, or data.class_names" in _refused(tmp_path)
    [case] = _cases(tmp_path, class_names=["car", "boat"])
    assert next(iter(case.samples)).categories == ("boat",)


def test_only_the_wanted_categories_are_used(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}\n1 {CROSSING}")
    [case] = _cases(tmp_path, categories=["tree"])
    assert next(iter(case.samples)).categories == ("tree",)
    assert "data.categories: car is no class of" in _refused(tmp_path, categories=["car"])


def test_the_parts_of_a_data_set_can_be_groups(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        _write(tmp_path, f"images/{part}/a.png", f"labels/{part}/a.txt", f"0 {SQUARE}")
    own_test = "^(test(?=/)|.+)"  # as in the recipe's header
    groups = [next(iter(case.samples)).group for case in _cases(tmp_path, group_pattern=own_test)]
    assert groups == ["test", "train/a", "val/a"]


def test_one_part_is_used_if_its_folder_is_named(tmp_path: Path) -> None:
    for part in ("train", "test"):
        _write(tmp_path, f"{part}/images/a.png", f"{part}/labels/a.txt", f"0 {SQUARE}")
    assert len(_cases(tmp_path, image_folder="train/images", label_folder="train/labels")) == 1


def test_a_label_without_an_image_is_named(tmp_path: Path) -> None:
    _write(tmp_path, "images/train/a.png", "labels/train/a.txt", f"0 {SQUARE}")
    (tmp_path / "labels" / "train" / "b.txt").write_text("", encoding="utf-8")
    assert "1 label without an image of the same name: train/b" in _refused(tmp_path)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}")
    _write(tmp_path, "images/a.jpg")
    assert "two files are called a: " in _refused(tmp_path)


def test_a_folder_of_another_layout_names_the_setting(tmp_path: Path) -> None:
    _write(tmp_path, "pictures/a.png", "labels/a.txt", f"0 {SQUARE}")
    assert "no image in a folder 'images'; set data.root or data.image_folder" in _refused(tmp_path)
    assert "no label file in a folder 'txt'" in _refused(tmp_path, image_folder="pictures", label_folder="txt")
    assert "data.root: no folder" in _refused(tmp_path / "gone")


def test_a_box_is_told_with_its_line(tmp_path: Path) -> None:
    _write(tmp_path, "images/a.png", "labels/a.txt", f"0 {SQUARE}\n0 0.5 0.5 0.2 0.2\n")
    assert "a.txt:2: holds a box" in _refused(tmp_path)


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    _write(tmp_path / "disk", "images/a.png", "labels/a.txt", f"0 {SQUARE}")
    root = tmp_path / "root"
    root.mkdir()
    for name in ("images", "labels"):
        os.symlink(tmp_path / "disk" / name, root / name)
    os.symlink(root, tmp_path / "disk" / "images" / "again")
    (root / "data.yaml").write_text(NAMES, encoding="utf-8")
    assert len(_cases(root)) == 1
