"""Edge scores: the most correspondences there can be, and ODS, OIS, AP and R50 by hand."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from scipy.optimize import linear_sum_assignment

from adapt.metrics import EdgeCounts, corresponding, edge_counts, edge_map, edge_scores, suppress_weaker, thin

Mask = npt.NDArray[np.bool_]
MAPS = arrays.arrays(bool, (6, 7))


@given(edges=MAPS, annotation=MAPS)
def test_as_many_correspond_as_an_assignment_of_all_pixels_allows(edges: Mask, annotation: Mask) -> None:
    ours, theirs = np.argwhere(edges), np.argwhere(annotation)
    near = np.linalg.norm(ours[:, None] - theirs[None], axis=2) <= 1.5
    most = int(near[linear_sum_assignment(near, maximize=True)].sum())
    found = corresponding(edges, annotation, distance=1.5)
    assert found.sum() == most
    assert not (found & ~edges).any()


def _line(column: int) -> Mask:
    mask = np.zeros((60, 80), dtype=bool)
    mask[:, column] = True
    return mask


def test_a_line_within_the_tolerance_is_right_and_one_beyond_is_not() -> None:
    near, far = (
        edge_scores([edge_counts(_line(20).astype(float), [_line(20 + step)], tolerance=0.03)]) for step in (3, 4)
    )
    assert near is not None and far is not None  # 3 % of 100 px
    assert (near.ods, near.ois, near.r50, near.ap) == (1, 1, 1, pytest.approx(0.01))  # the only recall is 1
    assert (far.ods, far.ois, far.ap, far.r50) == (0, 0, 0, 0)


def test_a_line_that_one_of_two_people_drew_is_right_but_half_of_what_there_is() -> None:
    counts = edge_counts(_line(20).astype(float), [_line(20), _line(50)], thresholds=[0.5])
    assert [int(entry[0]) for entry in (counts.right, counts.predicted, counts.found, counts.true)] == [60, 60, 60, 120]


def _counts(*rows: tuple[int, int, int, int]) -> EdgeCounts:
    return EdgeCounts(*np.array(rows).T)


def test_two_images_at_two_thresholds_by_hand() -> None:
    one = _counts((8, 10, 8, 10), (4, 4, 4, 10))  # F 0.8, then 4/7
    two = _counts((2, 10, 2, 10), (6, 6, 6, 10))  # F 0.2, then 0.75
    found = edge_scores([one, two], thresholds=[0.3, 0.6])
    assert found is not None
    # together: precision 10/20 and 10/10, recall 10/20 each
    assert found.ods == pytest.approx(2 / 3)
    assert found.threshold == 0.6
    # each at its best: 14 right of 16, 14 found of 20
    assert found.ois == pytest.approx(2 * 14 / (16 + 20))
    assert found.r50 == 0.5


def test_ap_is_the_mean_precision_over_recalls() -> None:
    found = edge_scores([_counts((10, 20, 10, 10), (0, 1, 0, 10))], thresholds=[0.1, 0.9])
    assert found is not None  # precision rises from 0 at recall 0 to 0.5 at recall 1
    assert found.ap == pytest.approx(sum(0.005 * step for step in range(101)) / 100)


def test_without_a_drawn_edge_there_is_no_score() -> None:
    nothing = np.zeros((20, 20), dtype=bool)
    assert edge_scores([]) is None
    assert edge_scores([edge_counts(np.ones((20, 20)), [nothing], thresholds=[0.5])], thresholds=[0.5]) is None


def test_no_edge_where_people_drew_some_scores_nothing() -> None:
    found = edge_scores([edge_counts(np.zeros((60, 80)), [_line(3)])])
    assert found is not None
    assert (found.ods, found.ois, found.ap, found.r50) == (0, 0, 0, 0)


def test_the_edges_of_good_masks_are_those_of_the_objects() -> None:
    rows, columns = np.indices((96, 128))
    distances = [np.hypot(rows - 40, columns - 40) - 25, np.hypot(rows - 60, columns - 90) - 20]
    edges = suppress_weaker(edge_map([1 / (1 + np.exp(d / 1.5)) for d in distances], height=96, width=128))
    drawn = np.logical_or.reduce([thin(np.abs(d) < 1) for d in distances])
    found = edge_scores([edge_counts(edges, [drawn], thresholds=[0.2, 0.5])], thresholds=[0.2, 0.5])
    assert found is not None
    assert found.ods > 0.95
