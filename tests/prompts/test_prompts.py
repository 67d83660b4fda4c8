"""The prompts of a batch are checked, and padding objects carry padding labels."""

import pytest
import torch

from adapt.prompts import PADDING, Prompts, box_prompts, point_prompts

VALID = torch.tensor([[True, True, False], [True, False, False]])


def test_a_click_is_foreground_and_padding_is_padding() -> None:
    points = torch.arange(12.0).reshape(2, 3, 2)
    prompts = point_prompts(points, VALID)
    assert prompts.points is not None and prompts.point_labels is not None
    assert torch.equal(prompts.points.squeeze(2), points)
    assert prompts.point_labels.tolist() == [[[1], [1], [PADDING]], [[1], [PADDING], [PADDING]]]
    assert prompts.point_labels.dtype == torch.int64
    assert prompts.boxes is None and prompts.masks is None


def test_boxes_are_taken_as_they_are() -> None:
    boxes = torch.arange(24.0).reshape(2, 3, 4)
    prompts = box_prompts(boxes, VALID)
    assert prompts.boxes is boxes
    assert prompts.points is None and prompts.point_labels is None


def test_prompts_without_points_or_boxes_are_refused() -> None:
    with pytest.raises(ValueError, match="points or boxes"):
        Prompts(object_valid=VALID, masks=torch.zeros(2, 3, 1, 4, 4))


def test_points_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="go together"):
        Prompts(object_valid=VALID, points=torch.zeros(2, 3, 1, 2))
    with pytest.raises(ValueError, match="go together"):
        Prompts(object_valid=VALID, boxes=torch.zeros(2, 3, 4), point_labels=torch.ones(2, 3, 1))


def test_another_number_of_objects_is_refused() -> None:
    with pytest.raises(ValueError, match=r"boxes \(2, 4, 4\) do not match \(2, 3\) objects"):
        box_prompts(torch.zeros(2, 4, 4), VALID)
    with pytest.raises(ValueError, match=r"masks .* do not match"):
        Prompts(object_valid=VALID, boxes=torch.zeros(2, 3, 4), masks=torch.zeros(1, 3, 1, 4, 4))


def test_selected_images_keep_what_belongs_to_them() -> None:
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    boxes = torch.arange(24.0).reshape(3, 2, 4)
    prompts = Prompts(object_valid=valid, boxes=boxes, masks=torch.arange(96.0).reshape(3, 2, 1, 4, 4))
    for index in (torch.tensor([2, 0]), torch.tensor([True, False, True])):
        chosen = prompts.select(index)
        assert chosen.boxes is not None and chosen.masks is not None and prompts.masks is not None
        assert torch.equal(chosen.boxes, boxes[index])
        assert torch.equal(chosen.masks, prompts.masks[index])
        assert torch.equal(chosen.object_valid, valid[index])
        assert chosen.points is None and chosen.point_labels is None


def test_prompts_move_to_a_device_whole() -> None:
    prompts = point_prompts(torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)).to(torch.device("meta"))
    assert prompts.points is not None and prompts.points.device.type == "meta"
    assert prompts.object_valid.device.type == "meta"
    assert prompts.boxes is None
