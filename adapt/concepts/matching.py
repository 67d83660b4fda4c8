"""Which answer is which object: the cheapest assignment of a detector's queries to the objects of a concept.

Source: DETR (Carion et al., 2020), section 3.1, with the focal cost of Deformable DETR (Zhu et al., 2021), as SAM 3's
public training code matches (`sam3/train/matcher.py` of facebookresearch/sam3, `BinaryHungarianMatcherV2`, focal).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

ALPHA, GAMMA = 0.25, 2.0
"""Of the focal cost."""
NEVER = 1e8
"""What stands for a cost that is no number, or beyond this."""


@dataclass(frozen=True)
class MatchCosts:
    """Weights of what a pair costs; see `ConceptSettings` of the recipe for the defaults.

    Attributes:
        score: of the focal cost of the query's score.
        box: of the L1 distance of centres and sides.
        giou: of 1 - generalised IoU.
    """

    score: float
    box: float
    giou: float


@dataclass(frozen=True, eq=False)
class Assigned:
    """M pairs.

    Attributes:
        questions: (M,) int64, ascending.
        queries: (M,) int64, of the question.
        objects: (M,) int64, places among the objects of all questions, one behind the other.
    """

    questions: Tensor
    queries: Tensor
    objects: Tensor


def corners(boxes: Tensor) -> Tensor:
    """Boxes (..., 4) of centre x, y, width and height as XYXY."""
    centre, side = boxes[..., :2], boxes[..., 2:]
    return torch.cat((centre - side / 2, centre + side / 2), dim=-1)


def centred(boxes: Tensor) -> Tensor:
    """Boxes (..., 4) XYXY as centre x, y, width and height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), dim=-1)


def box_ious(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., 2019) of boxes XYXY whose shapes (..., 4) can be broadcast.

    Returns:
        (...) each: 0 to 1, and -1 to 1. Two boxes without an area have the IoU 0.
    """
    sides = (torch.minimum(ours[..., 2:], theirs[..., 2:]) - torch.maximum(ours[..., :2], theirs[..., :2])).clamp(min=0)
    around = torch.maximum(ours[..., 2:], theirs[..., 2:]) - torch.minimum(ours[..., :2], theirs[..., :2])
    shared, hull = sides.prod(-1), around.prod(-1)
    union = sum(((boxes[..., 2:] - boxes[..., :2]).prod(-1) for boxes in (ours, theirs)), -shared)
    smallest = torch.finfo(hull.dtype).tiny
    iou = shared / union.clamp(min=smallest)
    return iou, iou - (hull - union) / hull.clamp(min=smallest)


def pair_costs(logits: Tensor, boxes: Tensor, objects: Tensor, costs: MatchCosts) -> Tensor:
    """What it costs to take each query for each object, (Q, N).

    Args:
        logits: (Q,) of the scores.
        boxes: (Q, 4) centre x, y, width and height, as shares of the image's sides.
        objects: (N, 4) likewise.
        costs: see `MatchCosts`.
    """
    probability = logits.sigmoid()
    taken = ALPHA * (1 - probability) ** GAMMA * functional.softplus(-logits)
    left = (1 - ALPHA) * probability**GAMMA * functional.softplus(logits)
    distance = (boxes[:, None] - objects[None]).abs().sum(-1)
    _, giou = box_ious(corners(boxes)[:, None], corners(objects)[None])
    return costs.score * (taken - left)[:, None] + costs.box * distance - costs.giou * giou


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, objects: Sequence[Tensor], costs: MatchCosts) -> Assigned:
    """The assignment of least cost of each question: as many pairs as it has queries or objects, whichever are fewer.

    Args:
        logits: (K, Q).
        boxes: (K, Q, 4); see `pair_costs`.
        objects: K times (N_k, 4), likewise.
        costs: see `MatchCosts`.
    """
    rows: list[tuple[int, int, int]] = []
    before = 0
    for question, wanted in enumerate(objects):
        table = pair_costs(logits[question].float(), boxes[question].float(), wanted.float(), costs)
        queries, places = linear_sum_assignment(table.nan_to_num(NEVER, NEVER, -NEVER).cpu().numpy())
        rows += [(question, int(q), before + int(p)) for q, p in zip(queries, places, strict=True)]
        before += len(wanted)
    found = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).to(logits.device)
    return Assigned(*found.unbind(1))
