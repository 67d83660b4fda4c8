"""The loss of Segment Anything: `20 * focal + dice` on the best candidate, plus the error of the IoU head.

Source: Segment Anything (Kirillov et al., 2023), appendix A, "Losses" and "Training algorithm"; focal loss:
Lin et al., 2017; dice loss with smoothing 1 as in V-Net (Milletari et al., 2016). The paper leaves alpha
and gamma open; the recipe's defaults are SAM 2's. SAM 2 (Ravi et al., 2024, appendix D) trains the IoU head on all
candidates by the absolute error; that is a choice here. All functions are pure and compute in float32.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

DICE_SMOOTHING = 1.0


@dataclass(frozen=True)
class LossWeights:
    """Weights and choices; see `LossSettings` of the recipe for the defaults.

    Attributes:
        focal, dice, iou: weights of the three terms.
        balanced: the pixel loss is balanced cross-entropy, not focal; its weight is `focal`.
        alpha, gamma: of the focal loss.
        iou_of_all: the IoU head learns from all candidates, not from the winner alone.
        iou_absolute: by the absolute error (L1), not the squared one.
        presence: weight of the cross-entropy of the object score, of families that have one.
    """

    focal: float
    dice: float
    iou: float
    alpha: float
    gamma: float
    balanced: bool = False
    iou_of_all: bool = False
    iou_absolute: bool = False
    presence: float = 0.0


@dataclass(frozen=True, eq=False)
class PointSites:
    """Where the mask losses are taken instead of at every pixel.

    Attributes:
        logits: (B, N, M, P) of the candidates at P points.
        targets: (B, N, P) float32 in 0..1, of the truth.
    """

    logits: Tensor
    targets: Tensor


@dataclass(frozen=True, eq=False)
class ObjectLosses:
    """Losses of each object, all (B, N) float32 (or flattened to (K,)); zero for padding objects.

    Attributes:
        total: what is minimised.
        focal, dice: of the winning candidate; `focal` is the pixel loss, whichever it is.
        iou_error: error of the predicted IoU, of the winner or averaged over candidates.
        iou: true IoU of the winner at threshold 0.
        winner: int64 index of the candidate with the least `focal.weight * focal + dice.weight * dice`.
    """

    total: Tensor
    focal: Tensor
    dice: Tensor
    iou_error: Tensor
    iou: Tensor
    winner: Tensor

    def logged(self) -> dict[str, Tensor]:
        """Name to values, of which an epoch's mean is written down."""
        return {
            "loss": self.total,
            "focal": self.focal.detach(),
            "dice": self.dice.detach(),
            "iou_error": self.iou_error.detach(),
            "iou": self.iou,
        }


def _float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def focal_loss(logits: Tensor, targets: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Sigmoid focal loss, mean over pixels.

    Args:
        logits: (..., h, w) floats.
        targets: broadcastable to logits; bool or 0..1.
        alpha: weight of the foreground; the background's is 1 - alpha.
        gamma: focusing exponent.

    Returns:
        (...) float32 (float64 for float64 logits).
    """
    logits = _float32(logits)
    targets = targets.to(logits.dtype).expand_as(logits)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    # 1 - p_t; away from 0, where a gamma between 0 and 1 has no finite gradient
    wrong = (probability * (1 - targets) + (1 - probability) * targets).clamp(min=1e-12)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * wrong**gamma * cross_entropy).mean((-2, -1))


def balanced_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy whose mean over the object and whose mean over the rest weigh the same (HED: Xie and Tu, 2015).

    Args:
        logits: (..., h, w) floats.
        targets: broadcastable to logits; bool or 0..1.

    Returns:
        (...) float32 (float64 for float64 logits); of an empty or a full target, half the mean over all pixels.
    """
    logits = _float32(logits)
    targets = targets.to(logits.dtype).expand_as(logits)
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    inside = (cross_entropy * targets).sum((-2, -1)) / targets.sum((-2, -1)).clamp(min=1)
    outside = (cross_entropy * (1 - targets)).sum((-2, -1)) / (1 - targets).sum((-2, -1)).clamp(min=1)
    return (inside + outside) / 2


def pixel_loss(logits: Tensor, targets: Tensor, *, weights: LossWeights) -> Tensor:
    """The loss of each pixel by itself, averaged: focal, or balanced cross-entropy."""
    if weights.balanced:
        return balanced_cross_entropy(logits, targets)
    return focal_loss(logits, targets, alpha=weights.alpha, gamma=weights.gamma)


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - (2 * overlap + 1) / (sum of probabilities + sum of targets + 1).

    Args:
        logits: (..., h, w) floats.
        targets: broadcastable to logits; bool or 0..1.

    Returns:
        (...) float32 in 0..1; 0 for an empty prediction of an empty target.
    """
    return soft_dice(_float32(logits).sigmoid(), targets)


def soft_dice(probability: Tensor, targets: Tensor) -> Tensor:
    """The same of probabilities (..., h, w) in 0..1."""
    targets = targets.to(probability.dtype).expand_as(probability)
    overlap = (probability * targets).sum((-2, -1))
    total = probability.sum((-2, -1)) + targets.sum((-2, -1))
    return 1 - (2 * overlap + DICE_SMOOTHING) / (total + DICE_SMOOTHING)


def mask_iou(predicted: Tensor, targets: Tensor) -> Tensor:
    """Intersection over union of bool masks (..., h, w), as (...) float32; two empty masks agree: 1."""
    intersection = (predicted & targets).sum((-2, -1))
    union = (predicted | targets).sum((-2, -1))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)


def object_losses(
    logits: Tensor,
    predicted_iou: Tensor,
    targets: Tensor,
    object_valid: Tensor,
    *,
    weights: LossWeights,
    points: PointSites | None = None,
    presence: Tensor | None = None,
    present: Tensor | None = None,
) -> ObjectLosses:
    """Losses of each object, whose mask terms have a gradient only through its best candidate.

    Where an object is not there, as in a frame that it has left, masks and their predicted IoU learn nothing, and the
    object score does (SAM 2, appendix D.2.2); the IoU is then 1 if the score says so, and else 0.

    Args:
        logits: (B, N, M, h, w) of M candidates.
        predicted_iou: (B, N, M) of the IoU head.
        targets: (B, N, h, w) bool.
        object_valid: (B, N) bool; what is False contributes neither value nor gradient.
        weights: see `LossWeights`.
        points: where focal and dice are taken; at every pixel without. The true IoU is always that of all pixels.
        presence: (B, N) logits that there is an object at all; None if the model does not say.
        present: (B, N) bool, whether there is; None if each is there.
    """
    at, wanted = (logits, targets) if points is None else (points.logits[..., None, :], points.targets[..., None, :])
    with torch.no_grad():
        truth = wanted[:, :, None]
        of_candidates = weights.focal * pixel_loss(at, truth, weights=weights) + weights.dice * dice_loss(at, truth)
        winner = of_candidates.argmin(-1)
        ious = mask_iou(logits > 0, targets[:, :, None])
    pick = winner[..., None]
    best = at.gather(2, pick[..., None, None].expand(*pick.shape, *at.shape[-2:])).squeeze(2)
    focal = pixel_loss(best, wanted, weights=weights)
    dice = dice_loss(best, wanted)
    errors = _float32(predicted_iou) - ious
    errors = errors.abs() if weights.iou_absolute else errors**2
    iou_error = errors.mean(-1) if weights.iou_of_all else errors.gather(2, pick).squeeze(2)
    total = weights.focal * focal + weights.dice * dice + weights.iou * iou_error
    iou = ious.gather(2, pick).squeeze(2)
    if present is not None:
        assert presence is not None  # a family that follows objects says whether they are there
        total, focal, dice, iou_error = (torch.where(present, v, 0.0) for v in (total, focal, dice, iou_error))
        iou = torch.where(present, iou, (presence <= 0).float())
    if presence is not None:  # with weight 0 too, so that all that trains has a gradient
        score = _float32(presence)
        total = total + weights.presence * functional.softplus(
            -score if present is None else torch.where(present, -score, score)
        )

    def valid_only(values: Tensor) -> Tensor:
        return torch.where(object_valid, values, 0.0)

    return ObjectLosses(
        total=valid_only(total),
        focal=valid_only(focal),
        dice=valid_only(dice),
        iou_error=valid_only(iou_error),
        iou=valid_only(iou),
        winner=winner,
    )


def mean_over_objects(values: Tensor, object_valid: Tensor) -> Tensor:
    """Mean of per-object values over valid objects; every object of the batch weighs the same."""
    return sum_over_objects(values, object_valid) / object_valid.sum().clamp(min=1)


def sum_over_objects(values: Tensor, object_valid: Tensor) -> Tensor:
    """Sum of per-object values over valid objects."""
    return torch.where(object_valid, values, 0.0).sum()


def resize_targets(masks: Tensor, size: int) -> Tensor:
    """Target masks at the size of the predicted logits.

    A pixel belongs to the object when at least half of its area does; an object that would vanish keeps
    every pixel that it touches.

    Args:
        masks: (B, N, S, S) bool, model frame.
        size: side of the predicted masks; divides S.

    Returns:
        (B, N, size, size) bool.
    """
    share = functional.adaptive_avg_pool2d(masks.float(), (size, size))
    kept = share >= 0.5
    vanished = ~kept.flatten(2).any(-1)
    return torch.where(vanished[..., None, None], share > 0, kept)
