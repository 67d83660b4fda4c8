"""Automatic masks against the truth: figures worked out by hand, and what is warned of."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from adapt.evaluate import AutomaticScore, Results, mask_ious, print_table, score_automatic, summarise_automatic
from adapt.evaluate.automatic import automatic_rows, automatic_warnings, average_recall, kept_text
from adapt.evaluate.results import Automatic
from adapt.evaluate.tables import write_tables
from adapt.formats import encode_masks
from adapt.samples import Sample

SQUARE = np.zeros((2, 20, 20), dtype=bool)
SQUARE[0, 2:8, 2:8] = SQUARE[1, 10:18, 10:18] = True


def sample(name: str = "s", group: str = "g") -> Sample:
    return Sample(
        image=np.zeros((20, 20, 3), dtype=np.uint8),
        masks=SQUARE,
        categories=("cell", "cell"),
        group=group,
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=name,
        source="",
    )


def score(model: str, *masks: np.ndarray, name: str = "s", expected: float = 0.95) -> AutomaticScore:
    counts = encode_masks(np.stack(masks)) if masks else []
    return score_automatic(
        model, sample(name, name), counts, instances=counts, best_predicted_iou=expected, best_stability=0.97
    )


def summary(*scores: AutomaticScore) -> Automatic:
    thresholds = {"base": (0.8, 0.9), "tuned": (0.88, 0.95)}
    found = summarise_automatic(scores, thresholds=thresholds, bootstrap_samples=100, seed=0)
    assert found is not None
    return found


HALF = SQUARE[1].copy()
HALF[10:18, 10:13] = False  # 40 of 64 pixels: 0.625


def test_every_object_is_found_by_its_best_mask() -> None:
    found = summary(score("base", HALF, SQUARE[0], SQUARE[1] & ~SQUARE[1])).base
    assert score("base", HALF, SQUARE[0]).ious == (1, 0.625)
    assert (found.masks, found.empty, found.found50, found.found75) == (3, 0, 1, 0.5)
    assert found.best_iou == pytest.approx((1 + 0.625) / 2)
    assert found.average_recall == pytest.approx((1 + 0.3) / 2)  # 0.625 is found at 0.5, 0.55 and 0.6 of ten IoUs


def test_overlaps_are_those_of_the_pixels() -> None:
    random = np.random.default_rng(0)
    masks, truth = random.random((4, 9, 7)) < 0.5, random.random((3, 9, 7)) < 0.4
    expected = [[(mask & own).sum() / (mask | own).sum() for own in truth] for mask in masks]
    np.testing.assert_allclose(mask_ious(truth, encode_masks(masks)), expected)
    assert mask_ious(truth, []).shape == (0, 3)


def test_average_recall_counts_the_ten_published_ious() -> None:
    assert [average_recall(iou) for iou in (0.49, 0.5, 0.95, 1.0)] == [0, 0.1, 1, 1]


def test_matching_ap_counts_masks_without_an_object() -> None:
    beside = np.zeros((20, 20), dtype=bool)
    beside[0:2, 12:] = True
    # three masks, two objects: one is matched at every IoU, the other at 0.5, 0.55 and 0.6
    found = score("base", SQUARE[0], HALF, beside)
    assert found.matching_ap == pytest.approx((3 * 2 / 3 + 7 * 1 / 4) / 10)
    assert score("base").matching_ap == 0


def test_matching_ap_and_recall_have_intervals_over_groups_and_a_paired_difference() -> None:
    scores = [score("base", SQUARE[0], name="a"), score("base", *SQUARE, name="b")]
    scores += [score("tuned", *SQUARE, name=name) for name in "ab"]
    found = summary(*scores)
    assert found.base.matching_ap == pytest.approx(0.75) and found.base.average_recall == pytest.approx(0.75)
    for interval in (found.base.matching_ap_interval, found.base.average_recall_interval):
        assert (interval.low, interval.high) == (0.5, 1)
    assert found.matching_ap is not None and found.matching_ap.mean == pytest.approx(0.25)
    assert (found.matching_ap.low, found.matching_ap.high) == (0, 0.5)
    base, _, difference = automatic_rows(found, {"base": "untouched", "tuned": "tuned"})
    assert base[-4:] == ["0.750", "0.500 to 1.000"] * 2
    assert difference[-2:] == ["+0.250", "+0.000 to +0.500"]


def test_the_difference_is_paired_by_group() -> None:
    scores = [score("base", name=name) for name in "ab"] + [score("tuned", *SQUARE, name="a"), score("tuned", name="b")]
    found = summary(*scores)
    assert found.found50 is not None
    assert (found.found50.mean, found.found50.low, found.found50.high) == (0.5, 0, 1)
    assert found.tuned is not None and (found.base.empty, found.tuned.empty) == (2, 1)


def test_masks_that_are_gone_are_warned_of_with_the_value_to_lower() -> None:
    found = summary(score("base", *SQUARE), score("tuned", expected=0.71))
    first, fewer, worse = automatic_warnings(found)
    assert "the tuned model makes none in 1 of 1 images (untouched: 0)" in first
    assert "the best predicted IoU is 0.71, lower generate.predicted_iou (0.88)" in first
    assert "0.0 an image after tuning, 2.0 before" in fewer
    assert "worse after tuning (objects found at IoU 0.5: 0.000, untouched 1.000" in worse


def test_stability_is_named_where_it_is_what_keeps_nothing() -> None:
    unsteady = replace(score("base"), best_stability=0.6)
    (told,) = automatic_warnings(summary(unsteady))
    assert "the untouched model makes none" in told
    assert "the best stability is 0.60, lower generate.stability (0.9)" in told


def test_a_model_that_finds_more_is_not_warned_of() -> None:
    assert automatic_warnings(summary(score("base", HALF), score("tuned", *SQUARE))) == []


def test_most_images_without_masks_are_told_of_even_if_there_were_fewer_before() -> None:
    found = summary(score("base", HALF), score("tuned", *SQUARE))
    assert found.tuned is not None
    found = replace(found, images=4, base=replace(found.base, empty=4), tuned=replace(found.tuned, empty=3))
    (told,) = automatic_warnings(found)
    assert "the tuned model makes none in 3 of 4 images (untouched: 4)" in told and "--fit-thresholds" in told


def test_the_figures_are_printed_and_written(tmp_path: Path) -> None:
    found = summary(score("base", HALF), score("tuned", *SQUARE))
    results = Results(protocols={}, objects=2, groups=1, images=1, sizes=(), automatic=found)
    console, wide = Console(file=StringIO(), width=120), Console(file=StringIO(), width=150)
    print_table(results, console)
    print_table(results, wide)
    printed = console.file.getvalue()
    assert "AP" in printed and "none" in wide.file.getvalue(), "one group has no interval"
    assert "Automatic masks of 1 image with 2 objects" in printed and "0 of 1" in printed and "+0.500" in printed
    write_tables(results, [], tmp_path, facts={})
    written = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["automatic"]
    assert written["tuned"]["found50"] == 1 and written["found50"]["mean"] == 0.5
    assert written["tuned"]["matching_ap"] == 1 and written["tuned"]["matching_ap_interval"] == {
        "low": None,
        "high": None,
    }
    assert (written["predicted_iou"], written["stability"]) == (0.88, 0.95), "those of the tuned model"
    assert (written["base"]["predicted_iou"], written["base"]["stability"]) == (0.8, 0.9)
    rows = list(csv.DictReader(StringIO((tmp_path / "results.csv").read_text(encoding="utf-8"))))
    assert [(row["protocol"], row["model"], row["found50"]) for row in rows] == [
        ("automatic", "base", "0.5"),
        ("automatic", "tuned", "1.0"),
    ]


@pytest.mark.parametrize(("width", "columns"), [(80, 7), (90, 8), (124, 8), (125, 10)])
def test_a_narrow_terminal_leaves_out_columns_and_breaks_no_cell(width: int, columns: int) -> None:
    found = summary(*(score(model, HALF, name=name) for model in ("base", "tuned") for name in ("one", "two")))
    found = replace(found, images=120, base=replace(found.base, empty=100))
    console = Console(file=StringIO(), width=width)
    print_table(Results(protocols={}, objects=4, groups=2, images=2, sizes=(), automatic=found), console)
    lines = console.file.getvalue().splitlines()
    (row,) = [line.split("│")[1:-1] for line in lines if "untouched " in line and "│" in line]
    assert len(row) == columns and row[0].strip() == "untouched" and row[2].strip() == "100 of 120"
    assert max(map(len, lines)) <= width


def test_thresholds_are_named_and_told_apart_where_models_have_their_own() -> None:
    found = summary(score("base", HALF), score("tuned", *SQUARE))
    assert kept_text(found) == (
        "kept, by what suits each model on validation images: untouched, predicted IoU above 0.8, stability at least "
        "0.9; tuned, predicted IoU above 0.88, stability at least 0.95"
    )
    assert kept_text(summary(score("base", HALF))) == "kept: predicted IoU above 0.8, stability at least 0.9"
    alike = replace(found, base=replace(found.base, predicted_iou=0.88, stability=0.95))
    assert kept_text(alike) == "kept: predicted IoU above 0.88, stability at least 0.95"


def test_no_image_gives_no_figures() -> None:
    assert summarise_automatic([], thresholds={}, bootstrap_samples=100, seed=0) is None
