"""Masks survive being packed into bits inside their boxes."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from adapt.formats import decode_crops, encode_crops

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)))


@settings(max_examples=100)
@given(masks=MASKS)
def test_masks_come_back_from_their_boxes(masks: npt.NDArray[np.bool_]) -> None:
    boxes, packed = encode_crops(masks)
    for mask, (top, left, height, width) in zip(masks, boxes, strict=True):
        assert mask[top : top + height, left : left + width].sum() == mask.sum()
        if mask.any():
            expected = coco.toBbox(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))  # x, y, width, height
            assert (left, top, width, height) == tuple(expected)
    back = decode_crops(boxes, packed, height=masks.shape[1], width=masks.shape[2])
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, masks)


def test_a_byte_holds_eight_pixels_of_the_box() -> None:
    mask = np.zeros((1, 500, 400), dtype=bool)
    mask[0, 100:104, 50:53] = True  # 12 pixels
    boxes, packed = encode_crops(mask)
    assert (boxes, packed) == ([(100, 50, 4, 3)], [bytes([0b11111111, 0b11110000])])


def test_no_mask_is_an_empty_list() -> None:
    assert encode_crops(np.zeros((0, 5, 7), dtype=bool)) == ([], [])
    assert decode_crops([], [], height=5, width=7).shape == (0, 5, 7)
