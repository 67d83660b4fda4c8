"""Thresholds fitted where objects are known, on candidates made by hand."""

import numpy as np
import pytest

from adapt.formats import encode_masks
from adapt.generate import Candidates, Fitted, GeneratedMask, Rle, best_thresholds, unfiltered
from adapt.recipe import GenerateSettings

RECIPE = GenerateSettings()


def candidate(left: int, *, iou: float, stability: float) -> GeneratedMask:
    pixels = np.zeros((1, 8, 100), dtype=bool)
    pixels[:, 2:6, left : left + 4] = True
    return GeneratedMask(
        rle=Rle(size=(8, 100), counts=encode_masks(pixels)[0]),
        box=(left, 2, left + 3, 5),
        area=16,
        predicted_iou=iou,
        stability=stability,
        point=(left, 2),
        crop=(0, 0, 100, 8),
    )


def image(*of: tuple[float, float, float]) -> Candidates:
    """Candidates side by side: predicted IoU, stability, and the true IoU with an object of their own."""
    masks = [candidate(5 * place, iou=iou, stability=stability) for place, (iou, stability, _) in enumerate(of)]
    return Candidates(masks, np.diag([true for _, _, true in of]))


GOOD, UNSURE, UNSTEADY = (0.72, 0.91, 0.8), (0.42, 0.93, 0.1), (0.74, 0.55, 0.1)


def test_the_pair_keeps_what_finds_objects_and_leaves_out_the_rest() -> None:
    before, after = best_thresholds([image(GOOD, GOOD, UNSURE, UNSTEADY)], RECIPE)
    assert (before.f1, before.masks) == (0, 0)  # the published thresholds keep none of them
    assert (after.predicted_iou, after.stability) == (0.7, 0.9)
    assert after.masks == 2
    assert after.f1 == pytest.approx(2 * 2 / (2 + 4))
    found = after.apply(RECIPE)
    assert (found.predicted_iou, found.stability, found.nms) == (0.7, 0.9, RECIPE.nms)


def test_the_figure_is_a_mean_over_images() -> None:
    _, after = best_thresholds([image(GOOD), image(UNSURE)], RECIPE)
    assert after.f1 == pytest.approx((1 + 0) / 2)


def test_doubles_are_suppressed_before_masks_are_counted() -> None:
    twins = Candidates([candidate(0, iou=0.97, stability=0.99)] * 3, np.full((3, 1), 0.9))
    assert best_thresholds([twins], RECIPE)[1].f1 == 1


def test_thresholds_stay_when_none_are_better() -> None:
    nothing = Candidates([], np.zeros((0, 2)))
    before, after = best_thresholds([nothing], RECIPE)
    assert after == before
    assert (after.predicted_iou, after.stability) == (RECIPE.predicted_iou, RECIPE.stability)


def test_candidates_are_made_with_thresholds_below_the_whole_grid() -> None:
    settings = unfiltered(GenerateSettings(predicted_iou=0.05, stability=0.9, max_masks=3, min_region=9))
    assert (settings.predicted_iou, settings.stability, settings.nms, settings.crop_nms) == (0.05, 0.3, 1, 1)
    assert settings.max_masks is None and settings.min_region == 0


def test_what_was_found_is_told_as_recipe_values() -> None:
    before, after = best_thresholds([image(GOOD, GOOD, UNSURE)], RECIPE)
    _, untouched = best_thresholds([image(UNSTEADY, UNSURE)], RECIPE)
    fitted = Fitted(images=1, before=before, after=after, untouched=untouched)
    assert fitted.is_of(fitted.apply(RECIPE)) and not fitted.is_of(RECIPE)
    text = str(fitted)
    assert "1 validation image:" in text and "generate.predicted_iou=0.7 generate.stability=0.9" in text
    assert "before: 0.88 and 0.95" in text and "the untouched model suits 0.88 and 0.95, F1 0.000" in text
