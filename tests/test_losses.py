"""The losses against MONAI, against numbers worked out by hand, and under gradient checks."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from monai.losses import DiceLoss, FocalLoss
from torch import Tensor

from adapt.losses import (
    LossWeights,
    PointSites,
    balanced_cross_entropy,
    dice_loss,
    focal_loss,
    mask_iou,
    mean_over_objects,
    object_losses,
    resize_targets,
)

SHAPES = [(1, 1, 1, 1), (2, 3, 8, 8), (3, 1, 5, 9), (1, 4, 16, 3)]
GAMMAS = [0.0, 0.5, 1.0, 2.0, 3.0]
WEIGHTS = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0)


def _random(shape: tuple[int, ...], *, seed: int = 0, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * scale, torch.rand(shape, generator=generator) > 0.6


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_equals_monai(shape: tuple[int, ...], alpha: float, gamma: float) -> None:
    """MONAI's scalar alpha weighs the foreground by alpha and the background by 1 - alpha when it uses a sigmoid."""
    logits, targets = _random(shape)
    monai = FocalLoss(use_softmax=False, include_background=True, alpha=alpha, gamma=gamma, reduction="none")
    expected = monai(logits, targets.float()).mean((-2, -1))
    torch.testing.assert_close(focal_loss(logits, targets, alpha=alpha, gamma=gamma), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_dice_equals_monai(shape: tuple[int, ...]) -> None:
    logits, targets = _random(shape)
    monai = DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1, reduction="none")
    expected = monai(logits, targets.float())[..., 0, 0]
    torch.testing.assert_close(dice_loss(logits, targets), expected)


def test_focal_by_hand() -> None:
    """At logit 0 every pixel has probability 1/2: weight * (1/2)^gamma * ln 2."""
    logits, targets = torch.zeros(1, 2), torch.tensor([[True, False]])
    expected = (0.3 * 0.25 * math.log(2) + 0.7 * 0.25 * math.log(2)) / 2
    assert focal_loss(logits, targets, alpha=0.3, gamma=2.0).item() == pytest.approx(expected)


def test_balanced_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0, 2.0], [-1.0, 3.0]]])
    targets = torch.tensor([[[True, False], [False, False]]])
    outside = sum(math.log1p(math.exp(value)) for value in (2.0, -1.0, 3.0)) / 3
    assert balanced_cross_entropy(logits, targets).item() == pytest.approx((math.log(2) + outside) / 2, rel=1e-6)


@pytest.mark.parametrize("full", [True, False])
def test_balanced_cross_entropy_of_one_kind_of_pixels_is_half_their_mean(full: bool) -> None:
    logits, _ = _random((2, 8, 8))
    targets = torch.full((2, 8, 8), full)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none")
    assert torch.allclose(balanced_cross_entropy(logits, targets), expected.mean((-2, -1)) / 2)


def test_a_small_object_pulls_an_undecided_mask_as_much_as_all_the_rest() -> None:
    """Under the focal loss the rest pulls harder, and a model that knows nothing answers with empty masks."""
    logits, targets = torch.zeros(1, 32, 32, requires_grad=True), torch.zeros(1, 32, 32, dtype=torch.bool)
    targets[:, :4, :4] = True
    pulls = {}
    for name, loss in (
        ("balanced", balanced_cross_entropy(logits, targets)),
        ("focal", focal_loss(logits, targets, alpha=0.25, gamma=2.0)),
    ):
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        pulls[name] = (-gradient[targets].sum() / gradient[~targets].sum()).item()
    assert pulls["balanced"] == pytest.approx(1.0, rel=1e-5)
    assert pulls["focal"] < 0.01


def test_dice_by_hand() -> None:
    logits, targets = torch.zeros(2, 2), torch.tensor([[True, True], [True, False]])
    # overlap 3 * 1/2, sum of probabilities 4 * 1/2, sum of targets 3
    assert dice_loss(logits, targets).item() == pytest.approx(1 - (2 * 1.5 + 1) / (2 + 3 + 1))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradient_of_focal(gamma: float) -> None:
    logits, targets = _random((2, 4, 4), scale=1.5)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, targets, alpha=0.25, gamma=gamma), logits)


def test_gradient_of_dice() -> None:
    logits, targets = _random((2, 4, 4), scale=1.5)
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, targets), logits.double().requires_grad_())


def _objects(*, seed: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two images of three objects with three candidates each; one object is padding."""
    logits, targets = _random((2, 3, 3, 4, 4), seed=seed, scale=1.5)
    predicted = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(seed))
    valid = torch.tensor([[True, True, True], [True, True, False]])
    return logits, predicted, targets[:, :, 0], valid


def test_gradient_of_the_total() -> None:
    logits, predicted, targets, valid = _objects()

    def total(logits: Tensor, predicted: Tensor) -> Tensor:
        return object_losses(logits, predicted, targets, valid, weights=WEIGHTS).total

    assert torch.autograd.gradcheck(total, (logits.double().requires_grad_(), predicted.double().requires_grad_()))


def test_the_winner_has_the_least_weighted_sum() -> None:
    """Candidate by candidate in a loop; a weight of 0 on focal changes who wins, so the weights count."""
    logits, predicted, targets, valid = _objects()
    winners = {}
    for focal_weight in (20.0, 0.0):
        weights = LossWeights(focal=focal_weight, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0)
        losses = object_losses(logits, predicted, targets, valid, weights=weights)
        for image, index in itertools.product(range(2), range(3)):
            target = targets[image, index]
            sums = [
                focal_weight * focal_loss(one, target, alpha=0.25, gamma=2.0).item() + dice_loss(one, target).item()
                for one in logits[image, index]
            ]
            assert losses.winner[image, index].item() == sums.index(min(sums))
        winners[focal_weight] = losses.winner
    assert not torch.equal(winners[20.0], winners[0.0])


def test_gradient_flows_through_the_winner_alone() -> None:
    logits, predicted, targets, valid = _objects()
    logits.requires_grad_()
    predicted.requires_grad_()
    losses = object_losses(logits, predicted, targets, valid, weights=WEIGHTS)
    losses.total.sum().backward()
    assert logits.grad is not None and predicted.grad is not None
    won = torch.nn.functional.one_hot(losses.winner, 3).bool() & valid[..., None]
    assert (logits.grad[~won] == 0).all()
    assert (predicted.grad[~won] == 0).all()
    assert (logits.grad[won].abs().amax((-2, -1)) > 0).all()
    assert (predicted.grad[won] != 0).all()


def test_the_true_iou_is_no_way_around_for_gradients() -> None:
    """The IoU head learns what the mask is worth; it must not shape the mask."""
    logits, predicted, targets, valid = _objects()
    logits.requires_grad_()
    losses = object_losses(logits, predicted.requires_grad_(), targets, valid, weights=WEIGHTS)
    losses.iou_error.sum().backward()
    assert logits.grad is None
    assert not losses.iou.requires_grad


def test_padding_objects_count_for_nothing() -> None:
    logits, predicted, targets, valid = _objects()
    garbage = logits.clone()
    garbage[~valid] = 1e30
    results = []
    for values in (logits, garbage):
        leaf, head = values.clone().requires_grad_(), predicted.clone().requires_grad_()
        losses = object_losses(leaf, head, targets, valid, weights=WEIGHTS)
        for part in (losses.total, losses.focal, losses.dice, losses.iou_error, losses.iou):
            assert (part[~valid] == 0).all()
        mean_over_objects(losses.total, valid).backward()
        assert leaf.grad is not None and head.grad is not None
        assert (leaf.grad[~valid] == 0).all()
        assert (head.grad[~valid] == 0).all()
        results.append((losses.total.detach(), leaf.grad[valid]))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("iou_weight", [0.0, 1.0, 2.5])
def test_total_by_hand(iou_weight: float) -> None:
    """One object of one candidate, 2 x 2: prediction and target share 1 pixel of 3."""
    logits = torch.tensor([[5.0, 5.0], [-5.0, -5.0]])
    target = torch.tensor([[True, False], [True, False]])
    weights = LossWeights(focal=20.0, dice=1.0, iou=iou_weight, alpha=0.25, gamma=2.0)
    losses = object_losses(
        logits[None, None, None],
        torch.tensor([[[0.9]]]),
        target[None, None],
        torch.tensor([[True]]),
        weights=weights,
    )
    p = 1 / (1 + math.exp(-5))  # what is right is right with probability p, what is wrong with 1 - p
    right, wrong = (1 - p) ** 2 * -math.log(p), p**2 * -math.log(1 - p)
    focal = (0.25 * right + 0.75 * wrong + 0.25 * wrong + 0.75 * right) / 4
    dice = 1 - (2 * (p + 1 - p) + 1) / (2 * p + 2 * (1 - p) + 2 + 1)
    iou_error = (0.9 - 1 / 3) ** 2
    assert losses.focal.item() == pytest.approx(focal, rel=1e-4)
    assert losses.dice.item() == pytest.approx(dice, rel=1e-4)
    assert losses.iou.item() == pytest.approx(1 / 3)
    assert losses.iou_error.item() == pytest.approx(iou_error, rel=1e-4)
    assert losses.total.item() == pytest.approx(20 * focal + dice + iou_weight * iou_error, rel=1e-4)


def test_the_true_iou_takes_every_pixel_above_logit_0() -> None:
    logits = torch.tensor([[0.01, 0.0], [-0.01, 5.0]])[None, None, None]
    target = torch.tensor([[True, True], [False, True]])[None, None]
    losses = object_losses(logits, torch.zeros(1, 1, 1), target, torch.tensor([[True]]), weights=WEIGHTS)
    assert losses.iou.item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("logit", [-1e4, -30.0, 0.0, 30.0, 1e4])
@pytest.mark.parametrize("full", [False, True])
def test_extremes_stay_finite(gamma: float, dtype: torch.dtype, logit: float, full: bool) -> None:
    logits = torch.full((1, 1, 3, 6, 6), logit, dtype=dtype).requires_grad_()
    predicted = torch.full((1, 1, 3), 0.5, dtype=dtype).requires_grad_()
    targets = torch.full((1, 1, 6, 6), full)
    weights = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=gamma)
    losses = object_losses(logits, predicted, targets, torch.tensor([[True]]), weights=weights)
    losses.total.sum().backward()
    assert losses.total.dtype == torch.float32
    for values in (losses.total, losses.focal, losses.dice, losses.iou_error, logits.grad, predicted.grad):
        assert values is not None
        assert torch.isfinite(values).all()
    assert 0 <= losses.dice.item() <= 1


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits, targets = _random((4, 64, 64))
    rounded = logits.bfloat16()
    torch.testing.assert_close(dice_loss(rounded, targets), dice_loss(rounded.float(), targets))
    focal = [focal_loss(values, targets, alpha=0.25, gamma=2.0) for values in (rounded, rounded.float())]
    torch.testing.assert_close(focal[0], focal[1])


def test_perfect_predictions_cost_nothing() -> None:
    targets = torch.tensor([[[True, False], [False, False]], [[False, False], [False, False]]])
    logits = torch.where(targets, 100.0, -100.0)
    torch.testing.assert_close(dice_loss(logits, targets), torch.zeros(2))
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.25, gamma=2.0), torch.zeros(2))


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [
        ([1, 1, 0, 0], [1, 1, 0, 0], 1.0),
        ([1, 1, 0, 0], [0, 1, 1, 0], 1 / 3),
        ([1, 0, 0, 0], [0, 0, 0, 1], 0.0),
        ([1, 1, 1, 1], [1, 0, 0, 0], 1 / 4),
        ([0, 0, 0, 0], [1, 0, 0, 0], 0.0),
        ([1, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 1.0),
    ],
)
def test_mask_iou_by_hand(predicted: list[int], target: list[int], expected: float) -> None:
    masks = [torch.tensor(values, dtype=torch.bool).reshape(2, 2) for values in (predicted, target)]
    iou = mask_iou(*masks)
    assert iou.dtype == torch.float32
    assert iou.item() == pytest.approx(expected)


def test_the_mean_counts_objects_not_images() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [10.0, 99.0, 99.0]])
    valid = torch.tensor([[True, True, True], [True, False, False]])
    assert mean_over_objects(values, valid).item() == 4.0  # (1 + 2 + 3 + 10) / 4
    assert mean_over_objects(values, torch.zeros_like(valid)).item() == 0.0


def test_a_small_pixel_needs_half_of_its_area() -> None:
    mask = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[0, 0, :2, :2] = torch.tensor([[1, 1], [0, 0]]).bool()  # 2 of 4: kept
    mask[0, 0, :2, 2:] = torch.tensor([[1, 0], [0, 0]]).bool()  # 1 of 4: not kept
    mask[0, 0, 2:, :2] = torch.tensor([[1, 1], [1, 0]]).bool()  # 3 of 4: kept
    assert resize_targets(mask, 2).tolist() == [[[[True, False], [True, False]]]]


def test_an_object_that_would_vanish_keeps_what_it_touches() -> None:
    masks = torch.zeros(1, 2, 8, 8, dtype=torch.bool)
    masks[0, 0, 3, 3:5] = True  # one pixel in each of two small pixels of 16
    resized = resize_targets(masks, 2)
    assert resized[0, 0].tolist() == [[True, True], [False, False]]
    assert not resized[0, 1].any()  # padding stays empty


def test_targets_of_the_right_size_stay() -> None:
    _, masks = _random((2, 3, 16, 16))
    assert torch.equal(resize_targets(masks, 16), masks)
    assert resize_targets(masks, 4).shape == (2, 3, 4, 4)
    assert resize_targets(masks, 4).dtype == torch.bool


def test_the_iou_head_learns_from_the_winner_or_from_all_by_either_error() -> None:
    logits, predicted, targets, valid = _objects()
    ious = mask_iou(logits > 0, targets[:, :, None])
    of_winner = object_losses(logits, predicted, targets, valid, weights=WEIGHTS)
    pick = of_winner.winner[..., None]
    for absolute in (False, True):
        errors = (predicted - ious).abs() if absolute else (predicted - ious) ** 2
        expected = {False: errors.gather(2, pick).squeeze(2), True: errors.mean(-1)}
        for of_all in (False, True):
            weights = replace(WEIGHTS, iou_of_all=of_all, iou_absolute=absolute)
            found = object_losses(logits, predicted, targets, valid, weights=weights)
            torch.testing.assert_close(found.iou_error, torch.where(valid, expected[of_all], 0.0))
            torch.testing.assert_close(found.total - found.iou_error, of_winner.total - of_winner.iou_error)


def test_all_candidates_train_the_iou_head_and_the_winner_alone_the_mask() -> None:
    logits, predicted, targets, valid = _objects()
    logits.requires_grad_()
    predicted.requires_grad_()
    losses = object_losses(logits, predicted, targets, valid, weights=replace(WEIGHTS, iou_of_all=True))
    losses.total.sum().backward()
    assert logits.grad is not None and predicted.grad is not None
    assert (predicted.grad[valid] != 0).all() and (predicted.grad[~valid] == 0).all()
    touched = logits.grad.flatten(3).abs().sum(-1) > 0
    assert torch.equal(touched.sum(-1), valid.long())


def test_losses_at_every_pixel_as_points_are_those_of_the_mask() -> None:
    logits, predicted, targets, valid = _objects()
    points = PointSites(logits.flatten(3), targets.flatten(2).float())
    at_points = object_losses(logits, predicted, targets, valid, weights=WEIGHTS, points=points)
    at_pixels = object_losses(logits, predicted, targets, valid, weights=WEIGHTS)
    for name in ("total", "focal", "dice", "iou", "winner"):
        torch.testing.assert_close(getattr(at_points, name), getattr(at_pixels, name))
