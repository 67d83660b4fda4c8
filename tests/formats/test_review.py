"""Masks go to every program of review and come back, with all that is known of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapt.errors import DataError
from adapt.formats import decode_masks, encode_masks
from adapt.formats.coco_review import read_coco_review, write_coco_review
from adapt.formats.cvat import read_cvat, write_cvat
from adapt.formats.label_studio import read_label_studio, write_label_studio
from adapt.formats.review import ReviewImage, ReviewObject

LIMIT = 10_000
HEIGHT, WIDTH = 6, 8
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
MASKS = arrays.arrays(bool, (HEIGHT, WIDTH)).filter(lambda mask: mask.any())


def _image(masks: npt.NDArray[np.bool_], *, label: str = "nucleus", note: str = "0.1") -> ReviewImage:
    objects = tuple(
        ReviewObject(f"m{n}", label, mask, {"model": "runs/a b/tuned", "predicted_iou": note})
        for n, mask in enumerate(encode_masks(masks))
    )
    return ReviewImage("über/slide 1.png", HEIGHT, WIDTH, objects)


def _submitted(path: Path, change: Callable[[list[dict[str, Any]]], object] = lambda regions: None) -> None:
    """What Label Studio does when a person submits a prediction: its regions become those of an annotation."""
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for task in tasks:
        regions = task["predictions"][0]["result"]
        change(regions)
        task["annotations"] = [{"id": 1, "was_cancelled": False, "result": regions}]
    path.write_text(json.dumps(tasks), encoding="utf-8")


def _through_coco(path: Path, images: list[ReviewImage]) -> list[ReviewImage]:
    write_coco_review(path, images)
    return read_coco_review(path, max_pixels=LIMIT)


def _through_cvat(path: Path, images: list[ReviewImage]) -> list[ReviewImage]:
    write_cvat(path, images)
    return read_cvat(path, max_pixels=LIMIT)


def _through_label_studio(path: Path, images: list[ReviewImage]) -> list[ReviewImage]:
    write_label_studio(path, images, address="/data/local-files/?d=", model="runs/a")
    _submitted(path)
    return read_label_studio(path, max_pixels=LIMIT)


ROUND_TRIPS = pytest.mark.parametrize("through", [_through_coco, _through_cvat, _through_label_studio])


@ROUND_TRIPS
@settings(max_examples=40)
@given(masks=st.lists(MASKS, max_size=3), label=TEXTS, note=TEXTS)
def test_masks_labels_identities_and_attributes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    through: Callable[[Path, list[ReviewImage]], list[ReviewImage]],
    masks: list[npt.NDArray[np.bool_]],
    label: str,
    note: str,
) -> None:
    image = _image(np.array(masks).reshape(-1, HEIGHT, WIDTH), label=label, note=note)
    path = tmp_path_factory.getbasetemp() / "review"
    assert through(path, [image]) == [image]


def _one() -> ReviewImage:
    mask = np.zeros((1, HEIGHT, WIDTH), dtype=bool)
    mask[0, 1:4, 2:6] = True
    return _image(mask)


def _pixels(image: ReviewImage) -> npt.NDArray[np.bool_]:
    return decode_masks([item.mask for item in image.objects], height=image.height, width=image.width)


# CVAT


def _cvat(tmp_path: Path, shape: str, *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
    path = tmp_path / "annotations.xml"
    image = f'<image id="0" name="a.png" width="{size[1]}" height="{size[0]}">{shape}</image>'
    path.write_text(f"<annotations><version>1.1</version>{image}</annotations>", encoding="utf-8")
    return path


def test_cvat_masks_are_runs_inside_their_box_row_by_row(tmp_path: Path) -> None:
    shape = '<mask label="cell" rle="1, 2, 3" left="2" top="1" width="3" height="2"><attribute name="object" /></mask>'
    [image] = read_cvat(_cvat(tmp_path, shape), max_pixels=LIMIT)
    assert np.argwhere(_pixels(image)[0]).tolist() == [[1, 3], [1, 4]]
    assert (image.objects[0].identity, image.objects[0].label) == ("", "cell")
    write_cvat(tmp_path / "b.xml", [_one()])
    mask = ElementTree.parse(tmp_path / "b.xml").find("image/mask")
    assert mask is not None
    assert [mask.get(key) for key in ("rle", "left", "top", "width", "height")] == ["0, 12", "2", "1", "4", "3"]


def test_cvat_polygons_become_masks(tmp_path: Path) -> None:
    shape = '<polygon label="cell" points="2.0,1.0;6.0,1.0;6.0,4.0;2.0,4.0"></polygon>'
    [image] = read_cvat(_cvat(tmp_path, shape), max_pixels=LIMIT)
    np.testing.assert_array_equal(_pixels(image), _pixels(_one()))


def test_cvat_names_the_attributes_that_labels_need(tmp_path: Path) -> None:
    write_cvat(tmp_path / "a.xml", [_one()])
    label = ElementTree.parse(tmp_path / "a.xml").find("meta/task/labels/label")
    assert label is not None
    assert label.findtext("name") == "nucleus"
    names = [entry.findtext("name") for entry in label.findall("attributes/attribute")]
    assert names == ["object", "model", "predicted_iou"]


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        ('<box label="cell" xtl="1" ytl="1" xbr="3" ybr="3"/>', "image a.png: has a box, which is no mask"),
        ('<polygon label="cell" points="1,1;2,2"/>', "polygon 1: has 2 points"),
        ('<polygon label="cell" points="1,1;2,2;900,3"/>', r"point \(900, 3\) is outside of the image of 8 x 6"),
        ('<polygon label="cell" points="1,1;2,2;nan,3"/>', "is outside of the image"),
        ('<polygon label="cell" points="1,1;2"/>', "points are not x,y"),
        ('<mask label="cell" rle="0, 4" left="7" top="0" width="2" height="2"/>', "box .* is outside of the image"),
        ('<mask label="cell" rle="0, 4" left="-7" top="0" width="2" height="2"/>', "its left is '-7'"),
        ('<mask label="cell" rle="0, 5" left="0" top="0" width="2" height="2"/>', "does not add up to the 4 pixels"),
        ('<mask label="cell" rle="9, -5" left="0" top="0" width="2" height="2"/>', "does not add up"),
        ('<mask label="cell" rle="0, x" left="0" top="0" width="2" height="2"/>', "not a list of numbers"),
        ('<mask label="cell" rle="4" left="0" top="0" width="2" height="2"/>', "mask 1: has no pixel"),
    ],
)
def test_a_faulty_shape_of_cvat_is_named(tmp_path: Path, shape: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_cvat(_cvat(tmp_path, shape), max_pixels=LIMIT)


def test_a_huge_image_is_refused_before_a_mask_is_drawn(tmp_path: Path) -> None:
    shape = '<mask label="cell" rle="0, 4" left="0" top="0" width="2" height="2"/>'
    with pytest.raises(DataError, match="100000 x 100000 pixels; from 1 to 10,000"):
        read_cvat(_cvat(tmp_path, shape, size=(100_000, 100_000)), max_pixels=LIMIT)
    with pytest.raises(DataError, match="no number of pixels"):
        read_cvat(_cvat(tmp_path, shape, size=(10**12, 1)), max_pixels=LIMIT)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<annotations><version>&c;</version></annotations>"
)
FETCH = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>'


@pytest.mark.parametrize("text", [BOMB, FETCH, '<!DOCTYPE a SYSTEM "http://localhost/a.dtd"><annotations/>'])
def test_xml_with_a_document_type_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="has a document type"):
        read_cvat(tmp_path / "a.xml", max_pixels=LIMIT)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not well formed"),
        ("<annotations>", "not well formed"),
        ("<annotations>&x;</annotations>", "not well formed"),
        ('<?xml version="1.0" encoding="utf-9"?><annotations/>', "unknown encoding: utf-9"),
        ("<html/>", "no file of CVAT for images"),
        ("<annotations><track/></annotations>", "export the task as 'CVAT for images 1.1'"),
    ],
)
def test_other_xml_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        read_cvat(tmp_path / "a.xml", max_pixels=LIMIT)


# Label Studio


def _label_studio(tmp_path: Path, change: Callable[[list[dict[str, Any]]], object]) -> Path:
    path = tmp_path / "tasks.json"
    write_label_studio(path, [_one()], address="", model="m")
    _submitted(path, change)
    return path


def test_a_task_that_nobody_submitted_is_not_reviewed(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    write_label_studio(path, [_one()], address="", model="m")
    assert read_label_studio(path, max_pixels=LIMIT) == []


def test_an_image_whose_masks_were_all_removed_is_reviewed(tmp_path: Path) -> None:
    path = _label_studio(tmp_path, lambda regions: regions.clear())
    assert read_label_studio(path, max_pixels=LIMIT) == [ReviewImage("über/slide 1.png", HEIGHT, WIDTH, ())]


def test_polygons_in_percent_become_masks(tmp_path: Path) -> None:
    corners = [[25, 100 / 6], [75, 100 / 6], [75, 400 / 6], [25, 400 / 6]]
    path = _label_studio(
        tmp_path,
        lambda regions: regions[0].update(
            type="polygonlabels", value={"points": corners, "closed": True, "polygonlabels": ["nucleus"]}
        ),
    )
    [image] = read_label_studio(path, max_pixels=LIMIT)
    np.testing.assert_array_equal(_pixels(image), _pixels(_one()))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": "rectanglelabels"}, "region m0: is of type rectanglelabels"),
        ({"original_width": 9}, r"was drawn on \(6, 9\), but the image is \(6, 8\)"),
        ({"value": {"format": "rle", "rle": [0, 1], "brushlabels": ["a"]}}, "brush mask cannot be read"),
        ({"type": "polygonlabels", "value": {"points": [[0, 0], [500, 0], [0, 5]]}}, "is outside of the image"),
        ({"type": None}, "is of type None"),
        ({"original_height": float("inf")}, "not a readable export of Label Studio"),
    ],
)
def test_a_faulty_region_is_named(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    path = _label_studio(tmp_path, lambda regions: regions[0].update(change))
    with pytest.raises(DataError, match=fault):
        read_label_studio(path, max_pixels=LIMIT)


def test_several_labels_or_annotations_are_refused(tmp_path: Path) -> None:
    path = _label_studio(tmp_path, lambda regions: regions[0]["value"].update(brushlabels=["a", "b"]))
    with pytest.raises(DataError, match="has 2 labels"):
        read_label_studio(path, max_pixels=LIMIT)
    tasks = json.loads(path.read_text(encoding="utf-8"))
    tasks[0]["annotations"] *= 2
    path.write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.raises(DataError, match="has 2 annotations; keep one"):
        read_label_studio(path, max_pixels=LIMIT)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"annotations": [{"result": []}]}]', "null"])
def test_another_json_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.json"):
        read_label_studio(path, max_pixels=LIMIT)


# COCO


@pytest.mark.parametrize("attributes", [None, [], ["a"], "a", 3])
def test_coco_without_attributes_has_masks_of_nobody(tmp_path: Path, attributes: object) -> None:
    path = tmp_path / "a.json"
    write_coco_review(path, [_one()])
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][0]["attributes"] = attributes
    path.write_text(json.dumps(content), encoding="utf-8")
    [image] = read_coco_review(path, max_pixels=LIMIT)
    assert image.objects == (ReviewObject("", "nucleus", _one().objects[0].mask),)


@pytest.mark.parametrize(
    ("segmentation", "fault"),
    [
        ([[1, 1, 900, 1, 1, 5]], r"point \(900, 1\) is outside of the image"),
        ([[1, 1, 2]], "its segmentation is none"),
        ([[1, 1, 10**400, 1, 1, 5]], "its segmentation is none"),
        ({"size": [9, 9], "counts": "1"}, "its segmentation is none"),
        ({"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}, "nucleus 1: has no pixel"),
    ],
)
def test_a_faulty_mask_of_coco_is_named(tmp_path: Path, segmentation: object, fault: str) -> None:
    path = tmp_path / "a.json"
    write_coco_review(path, [_one()])
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"][0]["segmentation"] = segmentation
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        read_coco_review(path, max_pixels=LIMIT)


@pytest.mark.parametrize("read", [read_coco_review, read_cvat, read_label_studio])
def test_a_missing_file_is_told(tmp_path: Path, read: Callable[..., list[ReviewImage]]) -> None:
    with pytest.raises(DataError, match="none: no such file"):
        read(tmp_path / "none", max_pixels=LIMIT)
