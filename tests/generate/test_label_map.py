"""Who owns a pixel of several masks."""

import numpy as np
import pytest

from adapt.formats import decode_masks, encode_masks
from adapt.generate import GeneratedMask, Rle, label_map, visible_parts


def mask(rows: slice, columns: slice, *, iou: float = 0.9, stability: float = 1.0, size: int = 10) -> GeneratedMask:
    pixels = np.zeros((size, size), dtype=bool)
    pixels[rows, columns] = True
    return GeneratedMask(
        rle=Rle(size=(size, size), counts=encode_masks(pixels[None])[0]),
        box=(columns.start, rows.start, columns.stop - 1, rows.stop - 1),
        area=int(pixels.sum()),
        predicted_iou=iou,
        stability=stability,
        point=(columns.start, rows.start),
        crop=(0, 0, size, size),
    )


LARGE = mask(slice(0, 8), slice(0, 8), iou=0.95)
INNER = mask(slice(2, 5), slice(2, 5), iou=0.9)


def test_the_most_confident_mask_owns_its_pixels_and_the_rest_of_another_is_no_object() -> None:
    labels = label_map([INNER, LARGE], (10, 10), first="confident", least_visible=0.5)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {0, 2}
    assert (labels[:8, :8] == 2).all()


def test_small_masks_first_keep_what_lies_inside_others() -> None:
    labels = label_map([LARGE, INNER], (10, 10), first="small", least_visible=0.5)
    assert (labels[2:5, 2:5] == 2).all() and (labels == 1).sum() == 64 - 9


def test_confidence_is_predicted_iou_times_stability() -> None:
    shaky = mask(slice(0, 5), slice(0, 5), iou=0.95, stability=0.8)
    steady = mask(slice(0, 5), slice(0, 6), iou=0.9, stability=0.95)
    labels = label_map([shaky, steady], (10, 10), first="confident", least_visible=0.5)
    assert set(np.unique(labels)) == {0, 2}


@pytest.mark.parametrize(("least", "found"), [(0.5, {0, 1, 2}), (0.6, {0, 1})])
def test_a_mask_is_left_out_when_less_of_it_is_visible_than_asked_for(least: float, found: set[int]) -> None:
    left, right = mask(slice(0, 4), slice(0, 4)), mask(slice(0, 4), slice(2, 6), iou=0.8)
    labels = label_map([left, right], (10, 10), first="confident", least_visible=least)
    assert set(np.unique(labels)) == found


@pytest.mark.parametrize("first", ["confident", "small"])
def test_the_order_of_the_list_does_not_matter(first: str) -> None:
    masks = [
        LARGE,
        INNER,
        mask(slice(4, 9), slice(4, 9)),
        mask(slice(1, 4), slice(5, 9)),
        mask(slice(1, 4), slice(6, 10)),
    ]
    labels = label_map(masks, (10, 10), first=first, least_visible=0.3)
    turned = label_map(masks[::-1], (10, 10), first=first, least_visible=0.3)
    np.testing.assert_array_equal(np.where(turned > 0, len(masks) + 1 - turned, 0), labels)


def test_what_a_mask_owns_is_what_the_map_shows_of_it() -> None:
    beside = mask(slice(4, 10), slice(6, 10), iou=0.8)
    masks = [LARGE, beside, INNER]
    labels = label_map(masks, (10, 10), first="confident", least_visible=0.5)
    parts = decode_masks(visible_parts(labels, masks), height=10, width=10)
    np.testing.assert_array_equal(parts, [labels == 1, labels == 2])  # the third lies inside of the first


def test_an_image_without_masks_is_background() -> None:
    assert not label_map([], (3, 4), first="confident", least_visible=0.5).any()


def test_thousands_of_masks_each_keep_their_pixels() -> None:
    size = 140
    masks = [
        mask(slice(row, row + 2), slice(column, column + 2), size=size)
        for row in range(0, size, 3)
        for column in range(0, size, 3)
        if row + 2 <= size and column + 2 <= size
    ]
    labels = label_map(masks, (size, size), first="confident", least_visible=0.5)
    assert len(masks) > 2000
    np.testing.assert_array_equal(np.bincount(labels.ravel())[1:], 4)
