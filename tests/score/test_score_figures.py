"""Figures of label maps and of COCO files: by hand, and the same from either."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from adapt.errors import DataError
from adapt.formats import encode_masks
from adapt.score import Figures, as_json, print_figures, read_scenes, summarise
from adapt.score.files import Reading

READING = Reading(pixels=10_000, voxels=10_000)


def _figures(predictions: Path, truth: Path, **choices: Any) -> Figures:  # noqa: ANN401 - of `read_scenes`
    usual = {"label_kind": "instances", "group_pattern": None, "min_score": -math.inf, "ignore_classes": False}
    usual["reading"] = READING
    scenes = read_scenes(predictions, truth, **{**usual, "prediction_suffix": "", "truth_suffix": "", **choices})
    return summarise(scenes, bootstrap_samples=200, seed=0)


def _maps(folder: Path, maps: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    for name, labels in maps.items():
        Image.fromarray(labels.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


def _row(*values: int) -> np.ndarray:
    """Each value is ten pixels wide."""
    return np.repeat(np.array([values]), 10, axis=1)


TRUTH = {"p1_a": _row(1, 2, 0), "p1_b": _row(0, 1, 0), "p2_a": _row(0, 0, 0), "p2_b": _row(3, 3, 1)}
FOUND = {"p1_a": _row(5, 0, 0), "p1_b": _row(0, 1, 0), "p2_a": _row(0, 0, 0), "p2_b": _row(1, 2, 3)}
"""The last image's object of twenty pixels is found as two halves: a match at an IoU of 0.5 alone."""


def test_label_maps_by_hand(tmp_path: Path) -> None:
    found = _figures(_maps(tmp_path / "ours", FOUND), _maps(tmp_path / "theirs", TRUTH), group_pattern=r"^(p\d)_")
    last = (2 / 3 + 9 * 1 / 4) / 10
    assert [dict(image.ap) for image in found.images] == [
        {"object": 0.5},
        {"object": 1},
        {},
        {"object": pytest.approx(last)},
    ]
    assert found.whole.ap == pytest.approx((0.75 + last) / 2)  # two patients
    assert (found.groups, found.whole.images) == (2, 3)
    assert (found.whole.interval.low, found.whole.interval.high) == (pytest.approx(last), 0.75)
    first = found.whole.pooled[0]
    assert (first.true_positives, first.false_positives, first.false_negatives) == (4, 1, 1)
    assert found.whole.panoptic is not None
    assert found.whole.panoptic.pq == pytest.approx(3 / (3 + 2 / 2 + 2 / 2))  # an IoU of just 0.5 is no match there
    assert found.coco is None


def test_values_that_are_classes_have_dice_and_one_region_each(tmp_path: Path) -> None:
    truth = {"a": _row(1, 1, 2), "b": _row(1, 0, 0)}
    ours = {"a": _row(1, 0, 2), "b": _row(1, 0, 3)}
    found = _figures(_maps(tmp_path / "o", ours), _maps(tmp_path / "t", truth), label_kind="classes")
    assert list(found.classes) == ["1", "2", "3"]
    assert [dict(image.dice) for image in found.images] == [{"1": pytest.approx(2 / 3), "2": 1}, {"1": 1, "3": 0}]
    assert found.classes["1"].dice == pytest.approx(5 / 6)
    assert found.whole.dice == pytest.approx(((2 / 3 + 1) / 2 + 0.5) / 2)
    text = _printed(found)
    assert "Dice" in text and "0.833" in text


def _annotations(maps: dict[str, np.ndarray], names: Sequence[str] = ("cell", "debris")) -> list[dict[str, Any]]:
    """Of each value of each map; odd values are cells."""
    found = []
    for number, labels in enumerate(maps.values()):
        for value in sorted(set(np.unique(labels).tolist()) - {0}):
            counts = encode_masks((labels == value)[None])[0].decode()
            segmentation = {"size": list(labels.shape), "counts": counts}
            found.append({"id": len(found) + 1, "image_id": number, "segmentation": segmentation})
            found[-1]["category_id"] = 1 if value % 2 or names == ("cell",) else 2
    return found


def _coco(path: Path, maps: dict[str, np.ndarray], annotations: list[dict[str, Any]]) -> Path:
    images = [{"id": n, "file_name": name, "height": 1, "width": 30} for n, name in enumerate(maps)]
    categories = [{"id": 1, "name": "cell"}, {"id": 2, "name": "debris"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_coco_file_scores_as_the_label_maps_that_it_was_made_of(tmp_path: Path) -> None:
    from_maps = _figures(_maps(tmp_path / "ours", FOUND), _maps(tmp_path / "theirs", TRUTH))
    ours = _coco(tmp_path / "ours.json", FOUND, _annotations(FOUND, ("cell",)))
    theirs = _coco(tmp_path / "theirs.json", TRUTH, _annotations(TRUTH, ("cell",)))
    found = _figures(ours, theirs)
    assert found.whole.ap == from_maps.whole.ap
    assert found.whole.panoptic == from_maps.whole.panoptic
    assert found.coco is None  # without scores


def test_results_have_coco_figures_and_a_least_score(tmp_path: Path) -> None:
    truth = _coco(tmp_path / "truth.json", TRUTH, _annotations(TRUTH))
    results = [{**entry, "score": 0.9} for entry in _annotations(TRUTH)]
    wrong = {"size": [1, 30], "counts": encode_masks(np.ones((1, 1, 30), dtype=bool))[0].decode()}
    results.append({"image_id": 2, "category_id": 1, "segmentation": wrong, "score": 0.2})
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    every = _figures(tmp_path / "results.json", truth)
    assert every.coco is not None and every.recall is not None
    assert every.coco.ap == pytest.approx(1)  # the wrong one comes last
    assert every.recall[100]["all"] == 1
    assert every.classes["cell"].pooled[0].false_positives == 1
    sure = _figures(tmp_path / "results.json", truth, min_score=0.5)
    assert sure.whole.ap == 1
    assert sure.classes["cell"].pooled[0].false_positives == 0
    text = _printed(sure)
    assert "AR@1000" in text and "debris" in text
    assert json.loads(json.dumps(as_json(sure)))["classes"]["debris"]["matching_ap"] == 1


def test_masks_of_no_class_are_scored_against_a_truth_of_several(tmp_path: Path) -> None:
    truth = _coco(tmp_path / "truth.json", TRUTH, _annotations(TRUTH))
    mine = _coco(tmp_path / "mine.json", FOUND, [{**entry, "score": 0.5} for entry in _annotations(FOUND)])
    text = mine.read_text(encoding="utf-8").replace("debris", "thing").replace('"cell"', '"other"')
    mine.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="category other, thing are not in the truth"):
        _figures(mine, truth)
    found = _figures(mine, truth, ignore_classes=True)
    assert list(found.classes) == ["object"]
    assert found.whole.ap == _figures(_maps(tmp_path / "ours", FOUND), _maps(tmp_path / "theirs", TRUTH)).whole.ap
    results = [{k: v for k, v in entry.items() if k != "category_id"} for entry in json.loads(text)["annotations"]]
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert _figures(tmp_path / "results.json", truth, ignore_classes=True).coco == found.coco


def test_an_image_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    truth = _coco(tmp_path / "truth.json", TRUTH, [])
    content = json.loads(truth.read_text(encoding="utf-8"))
    content["images"].append({**content["images"][0], "id": 99})
    (tmp_path / "twice.json").write_text(json.dumps(content), encoding="utf-8")
    for pair in ((tmp_path / "twice.json", truth), (truth, tmp_path / "twice.json")):
        with pytest.raises(DataError, match="listed more than once"):
            _figures(*pair)


def test_masks_that_cover_one_another_have_no_panoptic_quality(tmp_path: Path) -> None:
    maps = {"a": _row(1, 1, 0)}
    twice = [*_annotations(maps), {**_annotations(maps)[0], "id": 2}]
    found = _figures(_coco(tmp_path / "o.json", maps, twice), _coco(tmp_path / "t.json", maps, _annotations(maps)))
    assert found.whole.panoptic is None
    assert found.whole.ap == 0.5  # the copy is a false positive
    assert "panoptic quality (PQ) is not defined" in _printed(found)


def test_nothing_at_all_is_told_as_such(tmp_path: Path) -> None:
    nothing = {"a": _row(0, 0), "b": _row(0, 0)}
    found = _figures(_maps(tmp_path / "ours", nothing), _maps(tmp_path / "theirs", nothing))
    assert found.whole.ap is None
    assert "2 without an object or a prediction" in _printed(found)


def _printed(found: Figures) -> str:
    console = Console(file=io.StringIO(), width=140)
    print_figures(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"image_id": 9}, "result 0: no image 9 in the truth"),
        ({"image_id": [9]}, r"no image \[9\] in the truth"),
        ({"category_id": 7}, "no category 7 in the truth"),
        ({"segmentation": None}, "no segmentation"),
        ({"score": None}, "score None is no number"),
        ({"score": float("nan")}, "score nan is no number"),
        ({"score": 10**400}, "is no number"),
        ({"segmentation": {"size": [9, 9], "counts": "1"}}, "cell 0 of p1_a: its segmentation is none"),
    ],
)
def test_a_faulty_result_is_named(tmp_path: Path, entry: dict[str, Any], fault: str) -> None:
    truth = _coco(tmp_path / "truth.json", TRUTH, _annotations(TRUTH))
    result = {**_annotations(TRUTH)[0], "score": 0.5, **entry}
    (tmp_path / "results.json").write_text(json.dumps([result]), encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        _figures(tmp_path / "results.json", truth)


def test_a_file_of_other_images_is_refused(tmp_path: Path) -> None:
    truth = _coco(tmp_path / "truth.json", TRUTH, [])
    other = _coco(tmp_path / "other.json", {"p1_a": TRUTH["p1_a"], "x": TRUTH["p1_a"]}, [])
    with pytest.raises(DataError, match=r"image p1_b, p2_a, p2_b are in the truth alone; image x is not in the truth"):
        _figures(other, truth)
    with pytest.raises(DataError, match="give two COCO files"):
        _figures(other, tmp_path)
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        _figures(tmp_path / "none.json", truth)


def test_an_image_that_claims_to_be_huge_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    content = {"images": [{"id": 0, "file_name": "a", "height": 10**6, "width": 10**6}]}
    content |= {"categories": [{"id": 1, "name": "cell"}]}
    content["annotations"] = [{"id": 1, "image_id": 0, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9]]}]
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="more than --max-pixels"):
        _figures(tmp_path / "a.json", tmp_path / "a.json")
