"""Figures of masks that a text has found, by hand."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from adapt.concepts import found_ious
from adapt.evaluate import ReportFacts, TextResults, text_results, write_text_report, write_text_results
from adapt.evaluate.text_report import text_verdict
from adapt.evaluate.text_tables import miou_rows
from adapt.evaluate.texts import Answered
from adapt.formats import encode_masks
from adapt.metrics import PredictedMasks, TrueMasks


def bars(*spans: tuple[int, int]) -> list[bytes]:
    masks = np.zeros((len(spans), 10, 100), dtype=bool)
    for mask, (begin, end) in zip(masks, spans, strict=True):
        mask[:, begin:end] = True
    return encode_masks(masks)


def figures_of(answered: Answered, truth: Sequence[TrueMasks], groups: str) -> TextResults:
    """Each letter of `groups` is the group of an image."""
    return text_results(answered, truth, list(groups), bootstrap_samples=500, seed=0)


def test_objects_found_their_iou_and_the_regions_are_as_counted_by_hand() -> None:
    truth = [
        TrueMasks(10, 100, bars((0, 10), (20, 30), (50, 60)), ["cell", "cell", "tumour"]),
        TrueMasks(10, 100, bars((0, 40)), ["cell"]),
    ]
    text = [
        PredictedMasks(bars((0, 10), (22, 30), (70, 80)), ["cell", "cell", "tumour"], [0.9, 0.8, 0.7]),
        PredictedMasks([], [], []),
    ]
    exact = [PredictedMasks(one.masks, one.categories, [1.0] * len(one.masks)) for one in truth]
    results = figures_of({("untouched", "text"): text, ("untouched", "true box"): exact}, truth, "ab")
    by_text, by_box = results.figures
    assert (by_text.masks, by_text.found, by_text.matched_iou) == (1.5, 0.5, pytest.approx(0.9))
    assert by_text.region_iou == pytest.approx((18 / 20 + 0 + 0) / 3)
    assert by_text.ap50 == pytest.approx((67 * 1.0 / 101 + 0) / 2, abs=1e-3)  # 2 of 3 cells, no tumour
    assert (by_box.found, by_box.matched_iou, by_box.region_iou, by_box.ap) == (1, 1, 1, 1)


def test_one_mask_of_many_objects_is_told_by_the_region_alone() -> None:
    truth = [TrueMasks(10, 100, bars((0, 10), (20, 30), (40, 50)), ["cell"] * 3)]
    union = np.zeros((1, 10, 100), dtype=bool)
    for begin in (0, 20, 40):
        union[0, :, begin : begin + 10] = True
    answer = [PredictedMasks(encode_masks(union), ["cell"], [0.9])]
    (figures,) = figures_of({("tuned", "text"): answer}, truth, "a").figures
    assert (figures.found, figures.matched_iou, figures.region_iou) == (0, None, 1)


def test_masks_of_a_category_that_the_image_does_not_show_are_stray() -> None:
    truth = [TrueMasks(10, 100, bars((0, 10)), ["cell"]), TrueMasks(10, 100, bars((0, 10)), ["tumour"])]
    text = [
        PredictedMasks(bars((0, 10), (20, 30), (40, 50)), ["cell", "tumour", "vessel"], [0.9, 0.8, 0.7]),
        PredictedMasks(bars((0, 10)), ["tumour"], [0.9]),
    ]
    (figures,) = figures_of({("tuned", "text"): text}, truth, "ab").figures
    assert (figures.masks, figures.stray, figures.found) == (2, 1, 1)
    assert figures.ap50 is not None and figures.ap50 < 1


TRUTH = [
    TrueMasks(10, 100, bars((0, 10), (20, 30), (50, 60)), ["cell", "cell", "tumour"]),
    TrueMasks(10, 100, bars((0, 40)), ["cell"]),
    TrueMasks(10, 100, bars((0, 40), (50, 60)), ["cell", "cell"]),
]
BEFORE = [
    # cells 1 and 0.8; the tumour is missed, and a mask is no tumour
    PredictedMasks(bars((0, 10), (22, 30), (70, 80)), ["cell", "cell", "tumour"], [0.9, 0.8, 0.7]),
    PredictedMasks([], [], []),  # a cell is missed
    # a cell 0.75, the other is missed, a mask is no cell, and one no vessel, of which there are none
    PredictedMasks(bars((0, 30), (80, 90), (90, 95)), ["cell", "cell", "vessel"], [0.9, 0.8, 0.7]),
]
AFTER = [
    PredictedMasks(bars((0, 10), (20, 30), (50, 55)), ["cell", "cell", "tumour"], [0.9, 0.8, 0.7]),
    PredictedMasks(bars((10, 40)), ["cell"], [0.9]),
    PredictedMasks(bars((0, 40)), ["cell"], [0.9]),
]
GROUPS = {
    "untouched": {"a": (0.9 + 0) / 2, "b": (0 / 1 + 0) / 1, "c": ((0.75 + 0 + 0) / 3 + 0) / 2},
    "tuned": {"a": (1 + 0.5) / 2, "b": 0.75, "c": (1 + 0) / 2},
}


def compared(groups: str = "abc") -> TextResults:
    return figures_of({("untouched", "text"): BEFORE, ("tuned", "text"): AFTER}, TRUTH, groups)


def test_the_miou_is_over_objects_and_masks_that_are_none_then_categories_then_groups_as_by_hand() -> None:
    results = compared()
    for one in results.figures:
        assert one.groups == pytest.approx(GROUPS[one.model])
        assert one.miou == pytest.approx(sum(GROUPS[one.model].values()) / 3)
    assert (results.images, results.objects, results.groups) == (3, 6, 3)
    two = compared("aab")  # the cells of both images are one category of the group
    assert two.figures[0].groups["a"] == pytest.approx(((1 + 0.8 + 0) / 3 + 0) / 2) and two.groups == 2


def test_the_interval_is_that_of_resampled_groups_and_the_difference_is_paired() -> None:
    results = figures_of({("untouched", "text"): BEFORE[:2], ("tuned", "text"): AFTER[:2]}, TRUTH[:2], "ab")
    # of two groups, each is drawn twice in a quarter of the resamples: the interval goes from one to the other
    assert [(one.low, one.high) for one in results.figures] == [
        (pytest.approx(0), pytest.approx(0.45)),
        (pytest.approx(0.75), pytest.approx(0.75)),
    ]
    (gain,) = results.differences
    assert (gain.prompts, gain.miou) == ("text", pytest.approx((0.3 + 0.75) / 2))
    assert (gain.low, gain.high) == (pytest.approx(0.3), pytest.approx(0.75))


def test_one_group_has_no_interval_and_one_model_no_difference() -> None:
    results = compared("aaa")
    assert {(one.low, one.high) for one in (*results.figures, *results.differences)} == {(None, None)}
    alone = figures_of({("untouched", "text"): BEFORE, ("untouched", "true box"): AFTER}, TRUTH, "abc")
    assert alone.differences == ()


def test_of_one_image_the_miou_is_what_validation_keeps_the_weights_by() -> None:
    random = np.random.default_rng(0)
    ours, true = (random.random((count, 12, 12)) > 0.6 for count in (5, 3))
    expected = np.mean(found_ious(torch.from_numpy(ours), torch.from_numpy(true)))
    answer = [PredictedMasks(encode_masks(ours), ["cell"] * 5, [0.5] * 5)]
    results = figures_of({("tuned", "text"): answer}, [TrueMasks(12, 12, encode_masks(true), ["cell"] * 3)], "a")
    assert results.figures[0].miou == pytest.approx(expected, rel=1e-6) and 0 < expected < 1


def test_tables_files_and_report_say_how_sure_it_is(tmp_path: Path) -> None:
    results = compared()
    (gain,) = results.differences
    rows = miou_rows(results)
    assert [row[:3] for row in rows] == [
        ["text", "untouched", "0.192"],
        ["text", "tuned", "0.667"],
        ["text", "difference", "+0.475"],
    ]
    write_text_results(results, tmp_path, facts={"recipe": "concepts"})
    written = json.loads((tmp_path / "results.json").read_bytes())
    assert (written["images"], written["objects"], written["groups"]) == (3, 6, 3)
    assert written["text"][1]["groups"] == pytest.approx(GROUPS["tuned"]) and written["recipe"] == "concepts"
    (difference,) = written["text_difference"]
    assert difference == {"prompts": "text", "miou": gain.miou, "low": gain.low, "high": gain.high}
    with (tmp_path / "text.csv").open(encoding="utf-8", newline="") as file:
        before, after = csv.DictReader(file)
    assert (before["difference"], float(after["difference_low"])) == ("", gain.low)
    assert float(after["miou"]) == results.figures[1].miou
    facts = ReportFacts(title="run", description="", cost="", lines=[], curves={}, recipe="")
    write_text_report(tmp_path / "report.html", results=results, facts=facts)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "test split: 6 objects in 3 images of 3 groups; with fewer than 10 groups an interval is rough" in page
    assert rows[2][3] in page and f"between {gain.low:+.3f} and {gain.high:+.3f} with 95 % confidence" in page
    assert "chance" not in text_verdict(results)


def test_a_difference_that_may_be_chance_is_called_so() -> None:
    worse = [AFTER[0], BEFORE[1], PredictedMasks([], [], [])]  # one group gains, one stays, one loses
    results = figures_of({("untouched", "text"): BEFORE, ("tuned", "text"): worse}, TRUTH, "abc")
    (gain,) = results.differences
    assert gain.low is not None and gain.high is not None and gain.low < 0 < gain.high
    assert "so it may be chance" in text_verdict(results)
