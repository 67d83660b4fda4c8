"""Panoptic quality by the formula of its paper, and by hand."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapt.metrics import (
    Matches,
    PanopticQuality,
    label_map_overlaps,
    mean_panoptic_quality,
    panoptic_matches,
    panoptic_quality,
)

Labels = npt.NDArray[np.integer]
MAPS = arrays.arrays(np.uint8, (5, 6), elements=st.integers(0, 3))


def _by_the_formula(predicted: Labels, truth: Labels) -> tuple[float, int, int, int]:
    """Sum of IoU, TP, FP and FN of the pairs above 0.5: each segment has at most one, since they are disjoint."""
    ours, theirs = (set(np.unique(labels)) - {0} for labels in (predicted, truth))
    ious = {
        (p, g): ((predicted == p) & (truth == g)).sum() / ((predicted == p) | (truth == g)).sum()
        for p in ours
        for g in theirs
    }
    hits = {pair: iou for pair, iou in ious.items() if iou > 0.5}
    return sum(hits.values()), len(hits), len(ours) - len(hits), len(theirs) - len(hits)


@given(images=st.lists(st.tuples(MAPS, MAPS), min_size=1, max_size=3))
def test_equal_to_the_formula_over_images(images: list[tuple[Labels, Labels]]) -> None:
    total, tp, fp, fn = np.sum([_by_the_formula(*maps) for maps in images], axis=0)
    found = panoptic_quality(sum((panoptic_matches(label_map_overlaps(*maps)) for maps in images), Matches()))
    if tp + fp + fn == 0:
        assert found is None
    else:
        assert found is not None
        assert found.pq == pytest.approx(total / (tp + fp / 2 + fn / 2))
        assert found.sq == pytest.approx(total / tp if tp else 0)


def test_an_iou_of_just_half_is_no_match() -> None:
    truth = np.ones((1, 4), dtype=np.uint8)
    assert panoptic_matches(label_map_overlaps(np.array([[1, 1, 0, 0]]), truth)) == Matches(0, 1, 1)


def test_the_mean_is_over_the_classes_that_occur() -> None:
    classes = {"a": Matches(2, 1, 1, matched_iou=1.6), "b": Matches(0, 0, 3), "never": Matches()}
    assert panoptic_quality(classes["a"]) == PanopticQuality(
        pq=pytest.approx(0.8 * 2 / 3), sq=pytest.approx(0.8), rq=pytest.approx(2 / 3)
    )
    assert panoptic_quality(classes["b"]) == PanopticQuality(0, 0, 0)
    assert panoptic_quality(classes["never"]) is None
    assert mean_panoptic_quality(classes) == PanopticQuality(
        pq=pytest.approx(0.8 / 3), sq=pytest.approx(0.4), rq=pytest.approx(1 / 3)
    )
    assert mean_panoptic_quality({"never": Matches()}) is None
