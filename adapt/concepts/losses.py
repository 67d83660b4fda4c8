"""The loss of a detector that is asked for a concept: set prediction, with a score of the concept's presence.

Source: SAM 3 (Carion et al., 2025), and its public training code: `sam3/train/loss/loss_fns.py` (`IABCEMdetr`, `Boxes`,
`Masks`) with the weights of `sam3/train/configs/roboflow_v100/roboflow_v100_full_ft_100_images.yaml`, with which
its authors fine-tune on small data sets. The score is learnt by the IoU-aware cross-entropy of Align-DETR (Cai et al.,
2023), and only where the concept is there: that it is not is for the presence to say. Every layer of the decoder is
taught, masks by the last one. Left out are the second set of queries (one object, several answers), which the model
of transformers has not, and the map of the whole concept, which no command here reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from adapt.concepts.matching import Assigned, MatchCosts, assign, box_ious, corners
from adapt.losses import dice_loss, focal_loss, mask_iou
from adapt.segmenters import ConceptAnswers

SCORE_ALPHA, SCORE_GAMMA = 0.25, 2.0
"""Of the score: how much its target is what the model says rather than the IoU, and how much easy negatives count."""
LEAST_TARGET = 0.01
"""Of the score of an object."""
MASK_ALPHA, MASK_GAMMA = 0.25, 2.0
"""Of the focal loss of a mask."""


@dataclass(frozen=True)
class ConceptWeights:
    """Weights of the terms; see `ConceptSettings` of the recipe for the defaults.

    Attributes:
        score: of the cross-entropy of the queries' scores, averaged over queries.
        positive: in it, of the queries that are objects.
        presence: of the cross-entropy of the presence.
        box, giou: of the L1 distance of boxes, and of 1 - generalised IoU.
        focal, dice: of the masks.
        costs: of the assignment.
    """

    score: float
    positive: float
    presence: float
    box: float
    giou: float
    focal: float
    dice: float
    costs: MatchCosts


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is true of K questions about B images.

    Attributes:
        images: (K,) int64, the image of each question; each image has one at least.
        boxes: K times (N_k, 4) float32, centre x, y, width and height, as shares of the image's sides; none where the
            concept is absent.
        masks: (sum of N_k, h, w) bool, in the same order, at the size of the predicted masks.
    """

    images: Tensor
    boxes: Sequence[Tensor]
    masks: Tensor


@dataclass(frozen=True, eq=False)
class ConceptLosses:
    """Losses of each image, all (B,) float32; scores and presence are summed over the decoder's layers, boxes too.

    Attributes:
        total: what is minimised.
        score, presence: mean over the image's questions.
        box, giou, focal, dice: sum over what is matched, divided by the image's objects.
        iou: mean IoU of the matched masks at threshold 0; has no gradient.
    """

    total: Tensor
    score: Tensor
    presence: Tensor
    box: Tensor
    giou: Tensor
    focal: Tensor
    dice: Tensor
    iou: Tensor

    def logged(self) -> dict[str, Tensor]:
        """Name to values, of which an epoch's mean is written down."""
        names = ("score", "presence", "box", "giou", "focal", "dice")
        return {"loss": self.total, **{name: getattr(self, name).detach() for name in names}, "iou": self.iou}


def concept_losses(answers: ConceptAnswers, wanted: Wanted, weights: ConceptWeights, *, images: int) -> ConceptLosses:
    """Losses of each of so many images.

    Args:
        answers: to K questions.
        wanted: what is true of them.
        weights: see `ConceptWeights`.
        images: B.
    """
    truth = torch.cat(list(wanted.boxes))
    counts = torch.tensor([len(boxes) for boxes in wanted.boxes], device=truth.device)
    there = counts > 0

    def of_images(values: Tensor, places: Tensor) -> Tensor:
        return torch.zeros(images, device=truth.device, dtype=values.dtype).index_add(0, places, values)

    questions = of_images(torch.ones_like(counts, dtype=torch.float32), wanted.images)
    objects = of_images(counts.float(), wanted.images).clamp(min=1)
    score, presence, box, giou = (torch.zeros(images, device=truth.device) for _ in range(4))
    for logits, boxes, present in zip(answers.logits, answers.boxes, answers.presence, strict=True):
        logits, boxes, present = logits.float(), boxes.float(), present.float()
        found = assign(logits, boxes, wanted.boxes, weights.costs)
        taken, true = boxes[found.questions, found.queries], truth[found.objects]
        ious, gious = box_ious(corners(taken), corners(true))
        of_scores = score_loss(logits, found, ious.detach(), positive=weights.positive).mean(1) * there
        score = score + of_images(of_scores, wanted.images)
        presence = presence + of_images(
            functional.binary_cross_entropy_with_logits(present, there.float(), reduction="none"), wanted.images
        )
        places = wanted.images[found.questions]
        box = box + of_images((taken - true).abs().sum(-1), places)
        giou = giou + of_images(1 - gious, places)
    masks, true_masks = answers.masks[found.questions, found.queries], wanted.masks[found.objects]
    focal = of_images(focal_loss(masks, true_masks, alpha=MASK_ALPHA, gamma=MASK_GAMMA), places) / objects
    dice = of_images(dice_loss(masks, true_masks), places) / objects
    with torch.no_grad():
        matched = of_images(torch.ones_like(places, dtype=torch.float32), places).clamp(min=1)
        iou = of_images(mask_iou(masks > 0, true_masks), places) / matched
    score, presence, box, giou = score / questions, presence / questions, box / objects, giou / objects
    total = (
        weights.score * score
        + weights.presence * presence
        + weights.box * box
        + weights.giou * giou
        + weights.focal * focal
        + weights.dice * dice
    )
    return ConceptLosses(total, score, presence, box, giou, focal, dice, iou)


def score_loss(logits: Tensor, found: Assigned, ious: Tensor, *, positive: float) -> Tensor:
    """IoU-aware cross-entropy of each query's score, (K, Q).

    The target of a query that is an object is `score**alpha * IoU**(1 - alpha)`, so that of two answers the one with
    the better box gets the higher score; of the others, those that are sure of themselves count more.

    Args:
        logits: (K, Q) float32.
        found: M queries that are objects.
        ious: (M,) of their boxes with the true ones.
        positive: weight of these queries.
    """
    places = (found.questions, found.queries)
    probability = logits.sigmoid().detach()
    soft = (probability[places] ** SCORE_ALPHA * ious ** (1 - SCORE_ALPHA)).clamp(min=LEAST_TARGET)
    targets = torch.zeros_like(logits).index_put(places, soft)
    weights = (logits.sigmoid() ** SCORE_GAMMA).index_put(places, torch.full_like(soft, positive))
    return weights * functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
