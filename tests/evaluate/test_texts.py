"""Figures of masks that a text has found, by hand."""

import numpy as np
import pytest

from adapt.evaluate import text_figures
from adapt.formats import encode_masks
from adapt.metrics import PredictedMasks, TrueMasks


def bars(*spans: tuple[int, int]) -> list[bytes]:
    masks = np.zeros((len(spans), 10, 100), dtype=bool)
    for mask, (begin, end) in zip(masks, spans, strict=True):
        mask[:, begin:end] = True
    return encode_masks(masks)


def test_objects_found_their_iou_and_the_regions_are_as_counted_by_hand() -> None:
    truth = [
        TrueMasks(10, 100, bars((0, 10), (20, 30), (50, 60)), ["cell", "cell", "tumour"]),
        TrueMasks(10, 100, bars((0, 40)), ["cell"]),
    ]
    text = [
        PredictedMasks(bars((0, 10), (22, 30), (70, 80)), ["cell", "cell", "tumour"], [0.9, 0.8, 0.7]),
        PredictedMasks([], [], []),
    ]
    exact = [PredictedMasks(one.masks, one.categories, [1.0] * len(one.masks)) for one in truth]
    by_text, by_box = text_figures({("untouched", "text"): text, ("untouched", "true box"): exact}, truth)
    assert (by_text.masks, by_text.found, by_text.matched_iou) == (1.5, 0.5, pytest.approx(0.9))
    assert by_text.region_iou == pytest.approx((18 / 20 + 0 + 0) / 3)
    assert by_text.ap50 == pytest.approx((67 * 1.0 / 101 + 0) / 2, abs=1e-3)  # 2 of 3 cells, no tumour
    assert (by_box.found, by_box.matched_iou, by_box.region_iou, by_box.ap) == (1, 1, 1, 1)


def test_one_mask_of_many_objects_is_told_by_the_region_alone() -> None:
    truth = [TrueMasks(10, 100, bars((0, 10), (20, 30), (40, 50)), ["cell"] * 3)]
    union = np.zeros((1, 10, 100), dtype=bool)
    for begin in (0, 20, 40):
        union[0, :, begin : begin + 10] = True
    (figures,) = text_figures({("tuned", "text"): [PredictedMasks(encode_masks(union), ["cell"], [0.9])]}, truth)
    assert (figures.found, figures.matched_iou, figures.region_iou) == (0, None, 1)


def test_masks_of_a_category_that_the_image_does_not_show_are_stray() -> None:
    truth = [TrueMasks(10, 100, bars((0, 10)), ["cell"]), TrueMasks(10, 100, bars((0, 10)), ["tumour"])]
    text = [
        PredictedMasks(bars((0, 10), (20, 30), (40, 50)), ["cell", "tumour", "vessel"], [0.9, 0.8, 0.7]),
        PredictedMasks(bars((0, 10)), ["tumour"], [0.9]),
    ]
    (figures,) = text_figures({("tuned", "text"): text}, truth)
    assert (figures.masks, figures.stray, figures.found) == (2, 1, 1)
    assert figures.ap50 is not None and figures.ap50 < 1
