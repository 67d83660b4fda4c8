"""The section `generate` of a recipe."""

import inspect

import pytest
from pydantic import ValidationError

from adapt.recipe import GenerateSettings


def test_defaults_are_the_published_ones() -> None:
    """Of `SamAutomaticMaskGenerator.__init__` and of `is_box_near_crop_edge`, as published with Segment Anything."""
    published = {
        "points_per_side": 32,
        "points_per_batch": 64,
        "predicted_iou": 0.88,
        "stability": 0.95,
        "stability_offset": 1.0,
        "nms": 0.7,
        "crop_layers": 0,
        "crop_nms": 0.7,
        "crop_overlap": 512 / 1500,
        "crop_points_downscale": 1,
        "min_region": 0,
        "crop_edge": 20.0,
        "mask_threshold": 0.0,
    }
    assert published.items() <= GenerateSettings().model_dump().items()


def test_the_defaults_are_those_that_transformers_uses() -> None:
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    theirs = inspect.signature(SamImageProcessorPil.filter_masks).parameters
    ours = GenerateSettings()
    assert ours.predicted_iou == theirs["pred_iou_thresh"].default
    assert ours.stability == theirs["stability_score_thresh"].default
    assert ours.stability_offset == theirs["stability_score_offset"].default
    crops = inspect.signature(SamImageProcessorPil.generate_crop_boxes).parameters
    assert ours.crop_overlap == crops["overlap_ratio"].default
    assert ours.points_per_side == crops["points_per_crop"].default


def test_a_layer_without_a_point_is_refused() -> None:
    with pytest.raises(ValidationError, match="leaves no point"):
        GenerateSettings(points_per_side=3, crop_layers=2, crop_points_downscale=2)


@pytest.mark.parametrize("value", [{"nms": 1.2}, {"stability": -0.1}, {"points_per_side": 0}, {"predicted_iou": -1.0}])
def test_what_is_out_of_range_is_refused(value: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GenerateSettings.model_validate(value)
