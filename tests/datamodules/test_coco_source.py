"""COCO images: instances overlap, categories are chosen, and every unusable file says what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main
from adapt.datamodules import Source
from adapt.datamodules.coco import coco_source
from adapt.errors import DataError
from adapt.recipe import CocoData

SIDE = 64


def _square(left: int, top: int, side: int) -> list[list[int]]:
    return [[left, top, left + side, top, left + side, top + side, left, top + side]]


def _write(root: Path, *, images: int = 2, **changes: object) -> None:
    """Two overlapping squares of 20, and one of 3, in each image."""
    (root / "images" / "site 1").mkdir(parents=True)
    content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 1, "name": "roof"}, {"id": 2, "name": "tree"}]
    for number in range(images):
        name = f"site 1/t{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / name)
        content["images"].append({"id": number, "file_name": name, "height": SIDE, "width": SIDE})
        for category, polygon in ((1, _square(5, 5, 20)), (2, _square(15, 15, 20)), (2, _square(50, 50, 3))):
            entry = {"id": len(content["annotations"]), "image_id": number, "category_id": category}
            content["annotations"].append(entry | {"segmentation": polygon})
    (root / "annotations.json").write_text(json.dumps(content | changes), encoding="utf-8")


def _source(root: Path, **changes: object) -> Source:
    return coco_source(CocoData(kind="coco", root=str(root), **changes), root)


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        for case in _source(root, **changes).cases:
            case()
    return str(caught.value)


def test_instances_overlap_and_small_ones_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path)
    case = _source(tmp_path).cases[0]()
    [sample] = case.samples
    assert sample.categories == ("roof", "tree")
    assert sample.masks.sum((1, 2)).tolist() == [400, 400]
    assert int((sample.masks[0] & sample.masks[1]).sum()) == 100
    assert case.small_objects == 1
    assert (sample.sample_id, sample.group) == ("site 1/t0.png", "site 1/t0")


def test_only_the_wanted_categories_are_used(tmp_path: Path) -> None:
    _write(tmp_path)
    [sample] = _source(tmp_path, categories=["tree"], min_object_pixels=1).cases[0]().samples
    assert sample.categories == ("tree", "tree")
    assert "no annotation of car" in _refused(tmp_path, categories=["car"])


def test_images_of_a_site_are_one_group(tmp_path: Path) -> None:
    _write(tmp_path)
    cases = _source(tmp_path, group_pattern="^(site [0-9]+)/").cases
    assert {case().samples[0].group for case in cases} == {"site 1"}


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(tmp_path / "images" / "site 1" / "t0.png")
    assert "is (10, 12), but annotated as (64, 64)" in _refused(tmp_path)


def test_missing_and_outside_images_are_listed(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "images" / "site 1" / "t1.png").unlink()
    assert "1 image cannot be used: site 1/t1.png is missing (set data.image_folder" in _refused(tmp_path)
    outside = [{"id": 0, "file_name": "../annotations.json", "height": 1, "width": 1}]
    content = json.loads((tmp_path / "annotations.json").read_bytes()) | {
        "images": outside,
        "annotations": [],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert "../annotations.json lies outside of the image folder (set data.image_folder)" in _refused(tmp_path)


def test_a_polygon_that_is_none_is_told_with_its_image(tmp_path: Path) -> None:
    _write(tmp_path, images=1, annotations=[{"id": 0, "image_id": 0, "category_id": 1, "segmentation": [[1, 2]]}])
    assert "t0.png: a segmentation of 'roof' cannot be drawn" in _refused(tmp_path)


def test_line_ends_and_the_mark_of_windows_make_no_difference(tmp_path: Path) -> None:
    _write(tmp_path, images=1)
    text = json.dumps(json.loads((tmp_path / "annotations.json").read_bytes()), indent=1)
    (tmp_path / "annotations.json").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    [sample] = _source(tmp_path).cases[0]().samples
    assert len(sample.masks) == 2


@pytest.mark.slow
def test_the_recipe_fits_from_one_command(tmp_path: Path) -> None:
    _write(tmp_path / "data", images=6)
    places = [f"data.root={tmp_path}/data", f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    short = ["trainer.epochs=1", "trainer.min_steps=0", "evaluation.bootstrap_samples=200", "evaluation.gallery=2"]
    assert main(["fit", "--recipe", "coco", *places, *short]) == 0
    (folder,) = (tmp_path / "runs" / "coco").iterdir()
    categories = json.loads((folder / "results.json").read_bytes())["protocols"]["box"]["base"]["categories"]
    assert set(categories) == {"roof", "tree"}
