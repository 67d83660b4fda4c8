"""Masks survive run-length encoding, and the encoding is COCO's."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from adapt.formats import decode_masks, encode_masks

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)))


@settings(max_examples=100)
@given(masks=MASKS)
def test_masks_come_back(masks: npt.NDArray[np.bool_]) -> None:
    back = decode_masks(encode_masks(masks), height=masks.shape[1], width=masks.shape[2])
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, masks)


def _runs(counts: bytes) -> list[int]:
    """COCO's compressed counts, decoded by hand: 5 bits a character, and from the third run on differences."""
    runs: list[int] = []
    position = 0
    while position < len(counts):
        value = shift = 0
        more = True
        while more:
            character = counts[position] - 48
            value |= (character & 0x1F) << shift
            more = bool(character & 0x20)
            position += 1
            shift += 5
            if not more and character & 0x10:
                value -= 1 << shift  # sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


@settings(max_examples=100)
@given(masks=MASKS)
def test_the_counts_are_runs_down_the_columns(masks: npt.NDArray[np.bool_]) -> None:
    for mask, counts in zip(masks, encode_masks(masks), strict=True):
        flat: list[bool] = []
        for index, run in enumerate(_runs(counts)):
            flat += [index % 2 == 1] * run  # the first run is background
        assert flat == mask.flatten(order="F").tolist()


def test_a_large_mask_has_cocos_area() -> None:
    mask = np.zeros((1, 700, 1100), dtype=bool)
    mask[0, 3:650, 40:1099] = True
    [counts] = encode_masks(mask)
    assert coco.area({"size": [700, 1100], "counts": counts}) == 647 * 1059
    assert coco.toBbox({"size": [700, 1100], "counts": counts}).tolist() == [40, 3, 1059, 647]  # x, y, width, height


@pytest.mark.parametrize("filled", [False, True])
def test_a_mask_of_one_value_comes_back(filled: bool) -> None:
    masks = np.full((2, 5, 7), filled)
    np.testing.assert_array_equal(decode_masks(encode_masks(masks), height=5, width=7), masks)


def test_no_mask_is_an_empty_list() -> None:
    assert encode_masks(np.zeros((0, 5, 7), dtype=bool)) == []
    assert decode_masks([], height=5, width=7).shape == (0, 5, 7)


def test_decoded_masks_may_be_written_to() -> None:
    masks = decode_masks(encode_masks(np.zeros((1, 4, 4), dtype=bool)), height=4, width=4)
    masks[0, 1, 1] = True
    assert masks.sum() == 1
