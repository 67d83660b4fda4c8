"""`objects.csv` is read back as it was written, and anything else is refused."""

import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.errors import ResultsError
from adapt.evaluate import ObjectScore
from adapt.evaluate.objects import COLUMNS, read_objects, write_objects

SCORE = ObjectScore(
    model="base",
    protocol="clicks",
    sample_id="p1/axial/0003",
    index=2,
    category="liver",
    group="p1",
    pixels=25,
    answer_pixels=0,
    iou=1 / 3,
    curve=(0.1 + 0.2, 1 / 3),
    oracle_iou=2 / 3,
    dice=0.5,
    predicted_iou=0.9,
    box_iou=0.785,
    nsd=0.0,
    hd95=12.5,
    unit="mm",
    mask=b"counts",
    clicks=((1.0, 2.0, 1),),
)
SHARES = st.floats(0, 1)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)


def test_scores_come_back_without_masks_and_prompts(tmp_path: Path) -> None:
    write_objects([SCORE], tmp_path)
    assert read_objects(tmp_path) == [replace(SCORE, mask=b"", clicks=())]


@given(st.lists(st.tuples(NAMES, SHARES, st.lists(SHARES, max_size=4)), min_size=1, max_size=4))
def test_any_name_and_any_share_survive_to_the_last_bit(rows: list[tuple[str, float, list[float]]]) -> None:
    scores = [
        replace(SCORE, mask=b"", clicks=(), sample_id=name, category=name, iou=iou, curve=tuple(curve))
        for name, iou, curve in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_objects(scores, Path(folder))
        assert read_objects(Path(folder)) == scores


def test_columns_are_added_at_the_end() -> None:
    """What a script that reads `objects.csv` by position relies on."""
    assert COLUMNS[:12] == [
        "model", "protocol", "sample_id", "index", "category", "group", "pixels", "iou", "oracle_iou", "dice",
        "predicted_iou", "box_iou",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,protocol\n", "no column sample_id, .*evaluate the run again"),
        ("", "no column model"),
        (",".join(COLUMNS) + "\n", "has no object"),
        (",".join(COLUMNS) + "\nbase,box\n", "object 1: sample_id is None"),
        (",".join(COLUMNS) + "\nbase,box,s,x" + ",1" * (len(COLUMNS) - 4) + "\n", "object 1: index is 'x'"),
    ],
)
def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "objects.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError, match=message):
        read_objects(tmp_path)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "objects.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ResultsError, match=r"objects\.csv cannot be read"):
        read_objects(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="give the folder of a run or of an evaluation"):
        read_objects(tmp_path / "nowhere")


def test_figures_are_numbers(tmp_path: Path) -> None:
    write_objects([replace(SCORE, hd95=math.inf)], tmp_path)
    with pytest.raises(ResultsError, match="hd95"):
        read_objects(tmp_path)
