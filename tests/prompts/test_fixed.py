"""Prompts without chance: tight boxes against a plain loop, centres against SciPy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from adapt.prompts import center_points, correction_points, tight_boxes

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.booleans())


def _box(mask: npt.NDArray[np.bool_]) -> list[int]:
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max(), rows.max()] if len(rows) else [0, 0, 0, 0]


@given(masks=MASKS)
def test_tight_boxes_equal_a_plain_loop(masks: npt.NDArray[np.bool_]) -> None:
    boxes = tight_boxes(torch.from_numpy(masks))
    assert boxes.dtype == torch.float32
    assert boxes.tolist() == [_box(mask) for mask in masks]


def test_a_single_pixel_has_a_box_of_no_extent() -> None:
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[3, 6] = True
    assert tight_boxes(mask).tolist() == [6, 3, 6, 3]


def test_boxes_keep_leading_dimensions() -> None:
    masks = torch.zeros(2, 3, 4, 5, dtype=torch.bool)
    masks[1, 2, 1:3, 2:5] = True
    boxes = tight_boxes(masks)
    assert boxes.shape == (2, 3, 4)
    assert boxes[1, 2].tolist() == [2, 1, 4, 2]


def _blob(seed: int, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    return np.asarray(noise > np.quantile(noise, 0.6), dtype=bool)


@pytest.mark.parametrize("shape", [(60, 80), (80, 60), (33, 33)])
def test_centres_are_farthest_from_the_border(shape: tuple[int, int]) -> None:
    masks = np.stack([_blob(seed, shape) for seed in range(10)])
    points = center_points(masks)
    assert points.dtype == np.float32
    for mask, (x, y) in zip(masks, points.astype(int), strict=True):
        assert mask[y, x]
        distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]  # the image border counts
        assert distance[y, x] == pytest.approx(distance.max(), abs=1e-4)


def test_of_equally_far_pixels_the_first_in_reading_order_is_taken() -> None:
    assert center_points(np.ones((1, 7, 9), dtype=bool)).tolist() == [[3.0, 3.0]]  # columns 3, 4 and 5 are as good


def test_the_centre_of_a_ring_lies_on_the_ring() -> None:
    """The centre of mass would miss it."""
    rows, columns = np.mgrid[:41, :41]
    radius = np.hypot(rows - 20, columns - 20)
    ring = (radius > 10) & (radius < 16)
    x, y = center_points(ring[None])[0].astype(int)
    assert ring[y, x]


def test_a_single_pixel_is_its_own_centre() -> None:
    mask = np.zeros((1, 5, 7), dtype=bool)
    mask[0, 4, 6] = True
    assert center_points(mask).tolist() == [[6.0, 4.0]]


@pytest.mark.parametrize("seed", range(6))
def test_the_next_click_is_the_deepest_pixel_of_what_is_wrong(seed: int) -> None:
    truth = np.stack([_blob(seed, (50, 60)), _blob(seed + 10, (50, 60))])
    answers = np.stack([_blob(seed + 20, (50, 60)), _blob(seed + 30, (50, 60))])
    points, labels = correction_points(truth, answers)
    for wanted, given_, (x, y), label in zip(truth, answers, points.astype(int), labels, strict=True):
        depths = [
            ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
            for region in (given_ & ~wanted, wanted & ~given_)
        ]
        assert depths[label][y, x] == pytest.approx(max(depth.max() for depth in depths), abs=1e-4)


def test_an_answer_without_a_fault_is_clicked_at_the_centre() -> None:
    mask = _blob(0, (30, 30))[None]
    points, labels = correction_points(mask, mask.copy())
    assert np.array_equal(points, center_points(mask)) and labels.tolist() == [1]


def test_an_empty_answer_is_clicked_as_missed() -> None:
    mask = _blob(1, (30, 30))[None]
    points, labels = correction_points(mask, np.zeros_like(mask))
    assert np.array_equal(points, center_points(mask)) and labels.tolist() == [1]
