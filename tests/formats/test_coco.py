"""COCO annotations: polygons and both kinds of RLE become the same mask; a faulty file is told at once."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from adapt.errors import DataError
from adapt.formats import encode_masks, rasterise, read_coco

HEIGHT, WIDTH = 40, 60


def _rectangle() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:30, 5:25] = True
    return mask


def _counts(mask: np.ndarray) -> list[int]:
    """Uncompressed RLE by hand: runs in column order, background first."""
    flat = mask.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, len(flat)]).tolist()
    return [0, *runs] if flat[0] else runs


def test_polygon_and_both_rle_give_the_same_mask() -> None:
    expected = _rectangle()
    polygon = [[5, 10, 25, 10, 25, 30, 5, 30]]
    compressed = {"size": [HEIGHT, WIDTH], "counts": encode_masks(expected[None])[0].decode()}
    for segmentation in (polygon, {"size": [HEIGHT, WIDTH], "counts": _counts(expected)}, compressed):
        np.testing.assert_array_equal(rasterise(segmentation, height=HEIGHT, width=WIDTH), expected)


def test_rle_may_be_bytes() -> None:
    counts = encode_masks(_rectangle()[None])[0]
    found = rasterise({"size": [HEIGHT, WIDTH], "counts": counts}, height=HEIGHT, width=WIDTH)
    np.testing.assert_array_equal(found, _rectangle())


CORNERS = st.lists(st.tuples(st.floats(-5, WIDTH + 5), st.floats(-5, HEIGHT + 5)), min_size=3, max_size=8)


@given(rings=st.lists(CORNERS, min_size=1, max_size=3))
def test_polygons_are_drawn_as_pycocotools_draws_them(rings: list[list[tuple[float, float]]]) -> None:
    polygons = [[value for corner in ring for value in corner] for ring in rings]
    separate = coco.decode(coco.frPyObjects(polygons, HEIGHT, WIDTH))  # (H, W, rings), not merged by its own code
    np.testing.assert_array_equal(rasterise(polygons, height=HEIGHT, width=WIDTH), separate.any(axis=2))


@given(mask=arrays.arrays(bool, (HEIGHT, WIDTH)))
def test_our_rle_is_read_by_pycocotools_and_its_by_us(mask: np.ndarray) -> None:
    [ours] = encode_masks(mask[None])
    np.testing.assert_array_equal(coco.decode({"size": [HEIGHT, WIDTH], "counts": ours}), mask)
    theirs = coco.frPyObjects({"size": [HEIGHT, WIDTH], "counts": _counts(mask)}, HEIGHT, WIDTH)
    np.testing.assert_array_equal(rasterise(theirs, height=HEIGHT, width=WIDTH), mask)
    uncompressed = {"size": [HEIGHT, WIDTH], "counts": _counts(mask)}
    np.testing.assert_array_equal(rasterise(uncompressed, height=HEIGHT, width=WIDTH), mask)


@settings(max_examples=300)
@given(counts=st.binary(max_size=12))
def test_any_compressed_text_is_a_mask_or_refused(counts: bytes) -> None:
    try:
        mask = rasterise({"size": [HEIGHT, WIDTH], "counts": counts}, height=HEIGHT, width=WIDTH)
    except ValueError:
        return
    assert mask.shape == (HEIGHT, WIDTH)


def test_several_polygons_are_one_object() -> None:
    parts = [[2, 2, 12, 2, 12, 12, 2, 12], [30, 20, 50, 20, 50, 35, 30, 35]]
    mask = rasterise(parts, height=HEIGHT, width=WIDTH)
    assert int(mask.sum()) == 10 * 10 + 20 * 15


def test_a_slanted_polygon_has_its_area_and_agrees_with_opencv() -> None:
    points = np.array([[10, 5], [50, 15], [35, 35], [8, 28]])
    x, y = points.T
    area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
    mask = rasterise([points.flatten().tolist()], height=HEIGHT, width=WIDTH)
    assert int(mask.sum()) == pytest.approx(area, rel=0.01)
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(drawn, [points], 1)
    inner = cv2.erode(drawn, np.ones((3, 3), np.uint8)) > 0
    outer = cv2.dilate(drawn, np.ones((3, 3), np.uint8)) > 0
    assert mask[inner].all() and not mask[~outer].any()  # they differ about the border pixels only


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5, 6, 7]],
        "text",
        {"size": [HEIGHT, WIDTH + 1], "counts": [10]},
        {"size": [HEIGHT, WIDTH], "counts": [10, 20]},
        {
            "size": [HEIGHT, WIDTH],
            "counts": coco.encode(np.asfortranarray(np.ones((90, 90), np.uint8)))["counts"].decode(),
        },
        [],
        [[0, 0, 1e9, 0, 1e9, 1e9]],
        [[0, 0, 10**400, 0, 9, 9]],
        [[0, 0, float("nan"), 0, 5, 5]],
        [[0, 0, float("-inf"), 0, 5, 5]],
        {"size": [HEIGHT, WIDTH], "counts": [-10, HEIGHT * WIDTH + 10]},
        {"size": [HEIGHT, WIDTH], "counts": [0.5, HEIGHT * WIDTH - 0.5]},
    ],
)
def test_what_is_no_segmentation_is_refused(segmentation: Any) -> None:  # noqa: ANN401 - anything a file may hold
    with pytest.raises((ValueError, IndexError)):
        rasterise(segmentation, height=HEIGHT, width=WIDTH)


def _write(path: Path, **changes: object) -> Path:
    content = {
        "images": [{"id": 7, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 3, "name": "cell"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[5, 10, 25, 10, 25, 30]]},
            {"id": 2, "image_id": 7, "category_id": 3, "segmentation": {"size": [1, 1], "counts": [1]}, "iscrowd": 1},
        ],
    }
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def test_images_keep_their_instances_and_crowds_are_left_out(tmp_path: Path) -> None:
    [image] = read_coco(_write(tmp_path / "a.json"))
    assert (image.file_name, image.height, image.width) == ("a.png", HEIGHT, WIDTH)
    assert [found.category for found in image.objects] == ["cell"]


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        ({"id": 9, "image_id": 8, "category_id": 3, "segmentation": [[1]]}, "annotation 9: no image 8"),
        ({"id": 9, "image_id": 7, "category_id": 4, "segmentation": [[1]]}, "annotation 9: no category 4"),
        ({"id": 9, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}, "a box alone is no mask"),
    ],
)
def test_a_faulty_annotation_is_named(tmp_path: Path, annotation: dict[str, object], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read_coco(_write(tmp_path / "a.json", annotations=[annotation] * 9))


INFINITE = '{"images": [{"id": 1e999}], "categories": [], "annotations": []}'
UNSCORED = (
    '{"images": [{"id": 1}], "categories": [{"id": 1, "name": "a"}], "annotations": '
    '[{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1]], "score": NaN}]}'
)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"images": 3, "categories": [], "annotations": []}', INFINITE, UNSCORED]
)
def test_another_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json: not a"):
        read_coco(tmp_path / "a.json")


def test_a_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.annotation_file"):
        read_coco(tmp_path / "none.json")
