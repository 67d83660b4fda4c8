"""Cross-entropy plus Dice of label maps, against torch and MONAI; and the answer, against all maps at once."""

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from adapt.class_maps import IGNORED
from adapt.frames import Frame, logits_to_image_frame
from adapt.semantic import ClassObjective, answered, class_losses

OBJECTIVE = ClassObjective(classes=("a", "b"), cross_entropy=0.2, dice=0.8, at="mask")


@pytest.fixture(scope="module")
def logits() -> torch.Tensor:
    return 3 * torch.randn(4, 3, 12, 9, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.randint(3, (4, 12, 9), generator=torch.Generator().manual_seed(1))


def test_each_image_has_the_losses_of_torch_and_monai(logits: torch.Tensor, labels: torch.Tensor) -> None:
    found = class_losses(logits, labels, OBJECTIVE)
    dice = DiceLoss(softmax=True, to_onehot_y=True, smooth_nr=1, smooth_dr=1)
    for place in range(len(logits)):
        one, truth = logits[place : place + 1], labels[place : place + 1]
        torch.testing.assert_close(found.cross_entropy[place], functional.cross_entropy(one, truth))
        torch.testing.assert_close(found.dice[place], dice(one, truth[:, None]))
    torch.testing.assert_close(found.total, 0.2 * found.cross_entropy + 0.8 * found.dice)


def test_what_is_ignored_has_no_say_and_no_gradient(logits: torch.Tensor, labels: torch.Tensor) -> None:
    cut = labels.clone()
    cut[:, 8:] = IGNORED
    whole = logits.clone().requires_grad_()
    losses = class_losses(whole, cut, OBJECTIVE)
    small = class_losses(logits[:, :, :8], labels[:, :8], OBJECTIVE)
    for name in ("total", "cross_entropy", "dice", "iou"):
        torch.testing.assert_close(getattr(losses, name), getattr(small, name))
    losses.total.sum().backward()
    assert not whole.grad[:, :, 8:].any()
    assert whole.grad[:, :, :8].all()


def test_the_right_answer_costs_nothing_and_overlaps_wholly(labels: torch.Tensor) -> None:
    sure = 50 * functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    losses = class_losses(sure, labels, OBJECTIVE)
    torch.testing.assert_close(losses.total, torch.zeros(4), atol=1e-5, rtol=0)
    assert losses.iou.tolist() == [1, 1, 1, 1]


def test_the_answer_is_the_class_of_the_highest_logit_of_all_maps_in_the_image_frame(logits: torch.Tensor) -> None:
    frame = Frame(height=31, width=50, size=64, fit="pad")
    square = logits[0, :, :9, :9]
    expected = logits_to_image_frame(square, frame).argmax(0)
    assert set(expected.unique().tolist()) == {0, 1, 2}
    assert (torch.from_numpy(answered(square, frame)) == expected).all()
