"""Edges from probabilities: on the border, one pixel wide, and hanging together as before."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from adapt.metrics import edge_map, suppress_weaker, thin

EIGHT = np.ones((3, 3))


def _disc(radius: float, *, softness: float = 2.0, size: int = 64) -> npt.NDArray[np.float64]:
    rows, columns = np.indices((size, size)) - size / 2
    return 1 / (1 + np.exp((np.hypot(rows, columns) - radius) / softness))


def test_edges_lie_just_outside_of_the_mask_and_go_around_it() -> None:
    probabilities = _disc(20)
    edges = edge_map([probabilities], height=64, width=64)
    rows, columns = np.nonzero(edges)
    distance = np.hypot(rows - 32, columns - 32)
    assert edges.max() == 1
    assert distance.min() > 20 - 1e-9
    assert distance.max() < 21.5
    assert ndimage.label(edges > 0, structure=EIGHT)[1] == 1


def test_a_sure_border_is_the_stronger_edge() -> None:
    sure, unsure = _disc(10, softness=0.5), _disc(25, softness=4)
    edges = edge_map([unsure, sure], height=64, width=64)
    assert edges[32, 40:45].max() == 1
    assert 0.05 < edges[32, 55:60].max() < 0.5


def test_no_mask_has_no_edge_and_neither_has_one_of_the_whole_image() -> None:
    assert not edge_map([], height=5, width=6).any()
    assert not edge_map([np.ones((5, 6))], height=5, width=6).any()


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 90, 130])
def test_a_wide_edge_becomes_a_line_on_its_ridge(angle: float) -> None:
    rows, columns = np.indices((60, 60)) - 30
    across = columns * np.cos(np.deg2rad(angle)) + rows * np.sin(np.deg2rad(angle))
    line = thin(suppress_weaker(np.exp(-(across**2) / 8)) > 0.1)[5:-5, 5:-5]
    assert np.abs(across[5:-5, 5:-5][line]).max() < 1
    crossed = max(int(line.any(axis=axis).sum()) for axis in (0, 1))  # rows or columns, whichever are more
    assert crossed >= 49
    assert line.sum() <= crossed + 1


def test_of_two_equal_neighbours_one_remains() -> None:
    edges = np.zeros((20, 20))
    edges[:, 9:11] = 0.7
    assert (suppress_weaker(edges)[2:-2] > 0).sum(axis=1).tolist() == [1] * 16


@given(mask=arrays.arrays(bool, (9, 11)))
def test_thinning_leaves_pieces_and_holes_as_they_are(mask: npt.NDArray[np.bool_]) -> None:
    found = thin(mask)
    assert not (found & ~mask).any()
    assert ndimage.label(found, structure=EIGHT)[1] == ndimage.label(mask, structure=EIGHT)[1]
    holes = [ndimage.label(~np.pad(lines, 1))[1] for lines in (found, mask)]
    assert holes[0] == holes[1]
    np.testing.assert_array_equal(thin(found), found)


def test_a_bar_is_thinned_to_its_middle_line() -> None:
    mask = np.zeros((9, 30), dtype=bool)
    mask[3:6, 2:28] = True
    found = thin(mask)
    assert found[4, 5:25].all()
    assert found.sum() <= 26
    assert not found[[3, 5], 5:25].any()


def test_the_mask_itself_is_left_alone() -> None:
    mask = np.ones((4, 4), dtype=bool)
    thin(mask)
    assert mask.all()
