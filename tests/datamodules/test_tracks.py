"""Objects that are numbered anew in each frame get one number over time, whatever their numbers were."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.datamodules.generated.dividing_cells import draw_series
from adapt.datamodules.tracks import continuations, numbered_through
from adapt.metrics import iou

Frame = npt.NDArray[np.int64]


def frame(*boxes: tuple[int, int, int]) -> Frame:
    """(20, 40) labels: value, first column and width of blocks that are 10 rows high."""
    labels = np.zeros((20, 40), dtype=np.int64)
    for value, left, width in boxes:
        labels[5:15, left : left + width] = value
    return labels


def through(*frames: Frame) -> list[dict[int, int]]:
    """Of each frame, the given value of each object to the number that it gets."""
    found = []
    for labels, numbers in zip(frames, numbered_through(frames), strict=True):
        assert ((labels > 0) == (numbers > 0)).all()
        pairs = np.unique(np.stack([labels[labels > 0], numbers[labels > 0]]), axis=1).T.tolist()
        assert len({value for value, _ in pairs}) == len(pairs) == len({number for _, number in pairs})
        found.append(dict(pairs))
    return found


def test_an_object_keeps_its_number_and_what_comes_in_gets_a_new_one() -> None:
    found = through(frame((5, 2, 8)), frame((9, 4, 8), (5, 30, 8)), frame((1, 6, 8), (2, 29, 8)))
    assert found == [{5: 1}, {9: 1, 5: 2}, {1: 1, 2: 2}]


def test_the_larger_half_of_an_object_that_divides_keeps_its_number() -> None:
    assert through(frame((1, 10, 12)), frame((1, 10, 5), (2, 15, 7))) == [{1: 1}, {1: 2, 2: 1}]


def test_a_number_never_comes_back() -> None:
    assert through(frame((1, 2, 8)), frame(), frame((1, 2, 8))) == [{1: 1}, {}, {1: 2}]


def test_neighbours_that_move_over_one_another_are_told_apart_by_what_overlaps_most() -> None:
    """The left one moves by three columns, onto four columns of where the right one was."""
    assert through(frame((1, 2, 9), (2, 12, 9)), frame((7, 7, 9), (3, 16, 9))) == [{1: 1, 2: 2}, {7: 1, 3: 2}]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cells_numbered_anew_are_linked_as_their_tracks_are(seed: int) -> None:
    """Of generated cells, whose tracks are known: what is in both frames is linked; of two daughters one at most."""
    _, tracks = draw_series(np.random.default_rng([0, seed]))
    random = np.random.default_rng(seed)
    anew = []
    for labels in tracks:
        order = np.zeros(tracks.max() + 1, dtype=np.int64)
        order[1:] = random.permutation(tracks.max()) + 1
        anew.append(order[labels])
    linked = list(numbered_through(anew))
    number = [
        dict(np.unique(np.stack([t[t > 0], n[t > 0]]), axis=1).T.tolist()) for t, n in zip(tracks, linked, strict=True)
    ]
    both = stayed = 0
    for before, after in pairwise(number):
        for track in before.keys() & after.keys():
            both += 1
            stayed += before[track] == after[track]
    assert both > 80 and stayed == both


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_those_are_linked_that_overlap_each_other_most(seed: int) -> None:
    random = np.random.default_rng(seed)
    before, after = random.integers(0, 5, (2, 6, 6))
    found = continuations(before, after)
    values = [[int(value) for value in np.unique(labels) if value] for labels in (before, after)]
    shares = {(a, b): float(iou(after == a, before == b)) for a in values[1] for b in values[0]}
    for a, b in found.items():
        assert shares[a, b] > 0
        assert shares[a, b] == max(shares[a, other] for other in values[0])
        assert shares[a, b] == max(shares[other, b] for other in values[1])
    best = max(shares, key=lambda pair: shares[pair])
    assert list(shares.values()).count(shares[best]) > 1 or found[best[0]] == best[1]
