"""Overlaps of label maps and of masks: the same by counting, by run lengths, and pair by pair."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapt.formats import encode_masks
from adapt.metrics import Overlaps, label_map_overlaps, mask_overlaps, pairs

Labels = npt.NDArray[np.integer]
MAPS = arrays.arrays(np.uint16, (6, 7), elements=st.sampled_from([0, 0, 1, 2, 5, 900]))


def masks_of(labels: Labels) -> npt.NDArray[np.bool_]:
    values = [value for value in np.unique(labels) if value]
    return np.stack([labels == value for value in values]) if values else np.zeros((0, *labels.shape), dtype=bool)


def table_of(found: Overlaps) -> npt.NDArray[np.float64]:
    table = np.zeros((found.predicted, found.truth))
    table[found.pairs[:, 0], found.pairs[:, 1]] = found.ious
    return table


def _pair_by_pair(predicted: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    ious = [[(one & other).sum() / (one | other).sum() for other in truth] for one in predicted]
    return np.array(ious).reshape(len(predicted), len(truth))


@given(predicted=MAPS, truth=MAPS)
def test_label_maps_and_run_lengths_agree_with_every_pair_of_masks(predicted: Labels, truth: Labels) -> None:
    ours, theirs = masks_of(predicted), masks_of(truth)
    expected = _pair_by_pair(ours, theirs)
    np.testing.assert_array_equal(table_of(label_map_overlaps(predicted, truth)), expected)
    found = mask_overlaps(encode_masks(ours), encode_masks(theirs), height=6, width=7)
    np.testing.assert_allclose(table_of(found), expected, rtol=1e-12)


@given(predicted=MAPS, truth=MAPS, chunk=st.sampled_from([1, 5, 12, 1000]))
def test_what_is_counted_together_does_not_matter(predicted: Labels, truth: Labels, chunk: int) -> None:
    whole = label_map_overlaps(predicted, truth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK", chunk)
        found = label_map_overlaps(predicted, truth)
    assert (found.predicted, found.truth) == (whole.predicted, whole.truth)
    np.testing.assert_array_equal(found.pairs, whole.pairs)
    np.testing.assert_array_equal(found.ious, whole.ious)


def test_a_pair_that_shares_nothing_is_left_out() -> None:
    found = label_map_overlaps(np.array([[1, 1, 0, 2]]), np.array([[0, 7, 7, 0]]))
    assert (found.predicted, found.truth) == (2, 1)
    assert found.pairs.tolist() == [[0, 0]]
    assert found.ious.tolist() == [1 / 3]


def test_maps_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different shapes: \(2, 3\) predicted, \(3, 2\) true"):
        label_map_overlaps(np.zeros((2, 3), dtype=int), np.zeros((3, 2), dtype=int))


def test_volumes_are_counted_as_images_are() -> None:
    volume = np.zeros((3, 4, 5), dtype=np.uint8)
    volume[:2, 1:3, 1:3] = 4
    found = label_map_overlaps(volume, np.roll(volume, 1, axis=0))
    assert found.ious.tolist() == [4 / 12]
