"""YOLO label files: outlines of known classes; every other line is named with its remedy."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from adapt.errors import DataError
from adapt.formats import outline_polygons, rasterise, read_yolo_labels, read_yolo_names

NAMES = {0: "roof", 1: "tree"}
TRIANGLE = "0.1 0.1 0.9 0.1 0.5 0.9"
OUTLINE = (0.1, 0.1, 0.9, 0.1, 0.5, 0.9)


def _labels(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        f"1 {TRIANGLE}\n0 {TRIANGLE}\n",
        f"1 {TRIANGLE}\r\n0 {TRIANGLE}\r\n",
        f"1 {TRIANGLE}\n\n  0\t{TRIANGLE}  ",
        b"\xef\xbb\xbf" + f"1 {TRIANGLE}\n0 {TRIANGLE}".encode(),
        f"1.0 {TRIANGLE}\n0.000 {TRIANGLE}",
    ],
)
def test_line_ends_marks_and_blanks_make_no_difference(tmp_path: Path, content: str | bytes) -> None:
    found = read_yolo_labels(_labels(tmp_path, content), NAMES)
    assert [(each.category, each.outline) for each in found] == [("tree", OUTLINE), ("roof", OUTLINE)]


@pytest.mark.parametrize("content", ["", "\n", " \r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_no_object(tmp_path: Path, content: str | bytes) -> None:
    assert read_yolo_labels(_labels(tmp_path, content), NAMES) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 0.5 0.5 0.2 0.2", "holds a box, not an outline; export the labels as segmentation polygons"),
        ("0", "0 coordinates; an outline has at least three points"),
        ("0 0.1 0.1 0.2", "3 coordinates"),
        (f"0 {TRIANGLE} 0.5", "7 coordinates"),
        (f"2 {TRIANGLE}", "no class 2; the names have 0: roof, 1: tree"),
        (f"-1 {TRIANGLE}", "no class -1"),
        (f"0.5 {TRIANGLE}", "no class 0.5"),
        (f"nan {TRIANGLE}", "no class nan"),
        (f"roof {TRIANGLE}", "not numbers: 'roof 0.1"),
        ("0 0.1,0.1 0.9,0.1 0.5,0.9", "not numbers"),
        ("0 10 10 90 10 50 90", "coordinate 10 is not a share of the image (0 to 1)"),
        ("0 0.1 0.1 1.01 0.1 0.5 0.9", "coordinate 1.01 is not"),
        ("0 0.1 0.1 0.9 -0.01 0.5 0.9", "coordinate -0.01 is not"),
        ("0 nan 0.1 0.9 0.1 0.5 0.9", "coordinate nan is not"),
        ("0 0.1 0.1 inf 0.1 0.5 0.9", "coordinate inf is not"),
    ],
)
def test_a_line_that_is_no_outline_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        read_yolo_labels(_labels(tmp_path, f"1 {TRIANGLE}\n{line}\n"), NAMES)
    assert str(caught.value).startswith(f"{tmp_path}/a.txt:2: ")
    assert told in str(caught.value)


def test_rounding_beyond_the_border_is_clipped(tmp_path: Path) -> None:
    [found] = read_yolo_labels(_labels(tmp_path, "0 -0.0005 0 1.0000001 0 0.5 1.0009"), NAMES)
    assert found.outline == (0, 0, 1, 0, 0.5, 1)


@pytest.mark.parametrize("content", [b"\xff\xfe0\x00", b"\x80\x81"])
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.txt: cannot be read as a UTF-8 text"):
        read_yolo_labels(_labels(tmp_path, content), NAMES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.txt: no such file"):
        read_yolo_labels(tmp_path / "gone.txt", NAMES)
    with pytest.raises(DataError, match=r"gone\.yaml: no such file; set data\.names_file, or data\.class_names"):
        read_yolo_names(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "names: [roof, tree]",
        "names:\n  0: roof\n  1: tree\n",
        "\ufeffpath: ../elsewhere\r\ntrain: /etc\r\nnc: 2\r\nnames: ['roof', 'tree']\r\n",
    ],
)
def test_names_are_a_list_or_a_mapping_and_nothing_else_is_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_bytes(text.encode())
    assert read_yolo_names(tmp_path / "data.yaml") == NAMES


def test_classes_may_be_called_by_numbers(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [7, 8]", encoding="utf-8")
    assert read_yolo_names(tmp_path / "data.yaml") == {0: "7", 1: "8"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no names"),
        ("nc: 2", "has no names"),
        ("names: roof", "has no names"),
        ("names: []", "has no names"),
        ("[1, 2]", "has no names"),
        ("names: {roof: 0}", "names must be numbers with names, not 'roof': 0"),
        ("names: {true: roof}", "not True: 'roof'"),
        ("names: [[roof]]", "not 0: ['roof']"),
        ("names: ['']", "not 0: ''"),
        ("names: [", "not a readable YAML file"),
        ("names: !!python/object/apply:os.system ['false']", "not a readable YAML file"),
        ("names: !!python/name:os.system", "not a readable YAML file"),
    ],
)
def test_a_file_without_plain_names_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_yolo_names(tmp_path / "data.yaml")
    assert told in str(caught.value)


def test_a_huge_file_of_names_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [roof]\n" + "#" * 1_000_000, encoding="utf-8")
    with pytest.raises(DataError, match="larger than 1,000,000 bytes"):
        read_yolo_names(tmp_path / "data.yaml")


SHARES = st.floats(0, 1, allow_subnormal=False)
OUTLINES = st.lists(st.tuples(SHARES, SHARES), min_size=3, max_size=8)


@settings(max_examples=100)
@given(corners=OUTLINES, height=st.integers(1, 40), width=st.integers(1, 40))
def test_an_outline_is_drawn_as_pycocotools_draws_it(
    corners: list[tuple[float, float]], height: int, width: int
) -> None:
    outline = tuple(value for corner in corners for value in corner)
    mask = rasterise(outline_polygons(outline, height=height, width=width), height=height, width=width)
    polygon = [value for x, y in corners for value in (x * width, y * height)]
    [encoded] = coco.frPyObjects([polygon], height, width)
    np.testing.assert_array_equal(mask, coco.decode(encoded))


def test_an_outline_of_the_whole_image_is_the_whole_image() -> None:
    polygons = outline_polygons((0, 0, 1, 0, 1, 1, 0, 1), height=7, width=13)
    assert rasterise(polygons, height=7, width=13).all()


def test_a_hole_that_a_tool_bridged_stays_a_hole() -> None:
    # The outline goes round the outside, over a bridge to the hole, round it the other way, and back.
    outer = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.1, 0.1)]
    hole = [(0.3, 0.3), (0.3, 0.6), (0.6, 0.6), (0.6, 0.3), (0.3, 0.3)]
    outline = tuple(value for corner in [*outer, *hole] for value in corner)
    expected = np.zeros((40, 60), dtype=bool)
    expected[4:36, 6:54] = True
    expected[12:24, 18:36] = False
    mask = rasterise(outline_polygons(outline, height=40, width=60), height=40, width=60)
    assert (mask != expected).sum() <= 24  # but for the pixels along the bridge
