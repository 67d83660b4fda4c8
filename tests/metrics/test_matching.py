"""Matching AP against every possible assignment, by hand, and at its edges."""

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapt.formats import encode_masks
from adapt.metrics import (
    THRESHOLDS,
    Matches,
    Overlaps,
    label_map_overlaps,
    mask_overlaps,
    match,
    match_all,
    mean_average_precision,
    paired_ious,
)

Table = npt.NDArray[np.float64]
TABLES = st.tuples(st.integers(0, 5), st.integers(0, 5)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=st.sampled_from([0, 0, 0.3, 0.5, 0.6, 0.62, 0.9, 1]))
)


def overlaps_of(table: Table) -> Overlaps:
    pairs = np.argwhere(table > 0)
    return Overlaps(*table.shape, pairs, table[pairs[:, 0], pairs[:, 1]])


def _best_of_all_assignments(table: Table, threshold: float) -> tuple[int, float]:
    """Most matches, and the greatest sum of IoU among them: by trying every assignment."""
    table = table if table.shape[0] <= table.shape[1] else table.T
    options = []
    for columns in permutations(range(table.shape[1]), table.shape[0]):
        found = [iou for iou in table[range(len(columns)), list(columns)] if iou >= threshold]
        options.append((len(found), sum(found)))
    return max(options)


@settings(max_examples=150)
@given(table=TABLES, threshold=st.sampled_from([0.5, 0.6, 0.75]))
def test_as_good_as_the_best_of_all_assignments(table: Table, threshold: float) -> None:
    found = match(overlaps_of(table), threshold)
    count, total = _best_of_all_assignments(table, threshold)
    assert found.true_positives == count
    assert found.matched_iou == pytest.approx(total)
    assert found.false_positives == table.shape[0] - count
    assert found.false_negatives == table.shape[1] - count


@settings(max_examples=150)
@given(table=TABLES)
def test_pairs_have_the_largest_sum_of_ious_and_what_is_left_over_counts_0(table: Table) -> None:
    few, many = sorted(table.shape)
    options = permutations(range(many), few)
    wide = table if table.shape[0] == few else table.T
    best = max(sum(wide[range(few), list(columns)]) for columns in options)
    found = paired_ious(overlaps_of(table))
    assert sum(found) == pytest.approx(best)
    matched = sum(iou > 0 for iou in found)
    assert len(found) == sum(table.shape) - matched


def test_three_objects_by_hand() -> None:
    truth = np.zeros((10, 30), dtype=np.uint8)
    truth[0:10, 0:10], truth[0:10, 10:20], truth[0:5, 20:30] = 1, 2, 3
    predicted = np.zeros_like(truth)
    predicted[0:8, 0:10] = 9  # IoU 0.8 with the first; the second is missed
    predicted[0:10, 20:30] = 7  # IoU 0.5 with the third
    found = match_all(label_map_overlaps(predicted, truth))
    at = dict(zip(THRESHOLDS, found, strict=True))
    assert at[0.5] == Matches(2, 0, 1, matched_iou=pytest.approx(1.3))
    assert at[0.55] == at[0.8] == Matches(1, 1, 2, matched_iou=0.8)
    assert at[0.85] == Matches(0, 2, 3)
    assert (at[0.5].precision, at[0.5].recall) == (1, 2 / 3)
    assert (at[0.5].f1, at[0.5].average_precision) == (0.8, 2 / 3)
    assert mean_average_precision(found) == pytest.approx((2 / 3 + 6 * 1 / 4) / 10)


def test_an_iou_of_just_the_threshold_is_a_match_at_each_of_them() -> None:
    for threshold in THRESHOLDS:
        truth = np.ones((1, 100), dtype=np.uint8)
        predicted = (np.arange(100) < round(threshold * 100)).astype(np.uint8)[None]
        assert match(label_map_overlaps(predicted, truth), threshold).true_positives == 1


def test_nothing_to_find_and_nothing_found_is_no_score() -> None:
    nothing = np.zeros((4, 4), dtype=np.uint8)
    found = match_all(label_map_overlaps(nothing, nothing))
    assert set(found) == {Matches()}
    assert mean_average_precision(found) is None
    assert (found[0].precision, found[0].recall, found[0].f1) == (None, None, None)


def test_only_predictions_or_only_objects_score_nothing() -> None:
    nothing, one = np.zeros((4, 4), dtype=np.uint8), np.eye(4, dtype=np.uint8)
    invented, missed = (match(label_map_overlaps(*maps), 0.5) for maps in ((one, nothing), (nothing, one)))
    assert invented == Matches(0, 1, 0)
    assert missed == Matches(0, 0, 1)
    assert (invented.average_precision, invented.precision, invented.recall) == (0, 0, None)
    assert (missed.average_precision, missed.precision, missed.recall) == (0, None, 0)


def test_a_copy_of_a_prediction_is_a_false_positive() -> None:
    mask = np.zeros((1, 8, 8), dtype=bool)
    mask[0, 2:5, 2:5] = True
    counts = encode_masks(mask)
    assert match(mask_overlaps(counts * 3, counts, height=8, width=8), 0.5) == Matches(1, 2, 0, matched_iou=1)


def test_of_masks_that_cover_one_another_the_pairing_with_more_matches_counts() -> None:
    """The best pair alone (0.9) would leave the others without a partner at 0.5."""
    table = np.array([[0.9, 0.6], [0.6, 0.1]])
    assert match(overlaps_of(table), 0.5) == Matches(2, 0, 0, matched_iou=pytest.approx(1.2))


def test_images_are_pooled_by_adding() -> None:
    assert sum([Matches(1, 2, 3, 0.5), Matches(4, 0, 1, 3.0)], Matches()) == Matches(5, 2, 4, 3.5)


def test_of_ten_thousand_objects_only_those_that_meet_are_paired() -> None:
    truth = np.kron(np.arange(1, 10_001).reshape(100, 100), np.ones((8, 8), dtype=np.int64))
    overlaps = label_map_overlaps(np.roll(truth, 1, axis=1), truth)
    assert len(overlaps.pairs) == 20_000  # itself and a neighbour; a table of all pairs would have 100 million
    assert [found.true_positives for found in match_all(overlaps)] == [10_000] * 6 + [0] * 4  # 7/9


def test_values_as_large_as_their_type_are_labels_as_others_are() -> None:
    truth = np.array([[0, 2**64 - 1, 2**64 - 1, 5]], dtype=np.uint64)
    assert match(label_map_overlaps(truth, truth), 0.5) == Matches(2, 0, 0, matched_iou=2)
