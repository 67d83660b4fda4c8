"""Corrective clicks: what a user does who looks at the last mask and clicks on what is wrong with it.

Source: Segment Anything (Kirillov et al., 2023), appendix A, "Interactive training": after the first prompt, points
are drawn uniformly from the error region between the previous mask and the truth; a point is foreground if it lies
in a false negative and background if in a false positive. Two more rounds get no new point: one at a random place
among the others, one at the end. A share of clicks from the truth instead of the error is SAM 2's (Ravi et al., 2024,
appendix D).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapt.prompts.draws import uniform
from adapt.prompts.simulate import draw_clicks

PURPOSE_CORRECTION = 1_000  # and the numbers after it, two a click


@dataclass(frozen=True)
class Session:
    """The rounds of an interactive session; see `PromptSettings` of the recipe for the defaults.

    Attributes:
        corrections: rounds with new clicks, after the first prompt.
        clicks_per_round: new clicks in each of them.
        idle_rounds: rounds without a new click, in which the model refines its own mask: the last one, and the
            others at random places before it.
        truth_click_chance: chance that a click is drawn from the truth rather than from the error.
        mask_prompts: feed the logits of the previous answer back as a mask prompt.
    """

    corrections: int
    clicks_per_round: int
    idle_rounds: int
    truth_click_chance: float
    mask_prompts: bool

    @property
    def rounds(self) -> int:
        """Of the whole session, the first prompt included."""
        return 1 + self.corrections + self.idle_rounds


def idle_rounds(session: Session, *, seed: int, epoch: int, step: int) -> frozenset[int]:
    """Numbers of the rounds that bring no new click; the same for all images of a step, so that all have as many.

    The first round, which has the first prompt, is never among them, and the last one always is.
    """
    if not session.idle_rounds:
        return frozenset()
    last = session.rounds - 1
    random = np.random.default_rng([seed, epoch, step])
    return frozenset([last, *(1 + random.permutation(last - 1)[: session.idle_rounds - 1]).tolist()])


def draw_corrections(
    masks: Tensor, answers: Tensor, keys: Tensor, *, turn: int, session: Session
) -> tuple[Tensor, Tensor]:
    """New clicks for all objects at once.

    Args:
        masks: (B, N, S, S) bool truth, model frame.
        answers: (B, N, S, S) bool, the masks the user sees.
        keys: (B, N) int64, one an object.
        turn: number of the round, from 1.
        session: see `Session`.

    Returns:
        (B, N, K, 2) float32 xy, model frame, and (B, N, K) int64 labels, 1 or 0. A perfect answer
        is clicked on the object: nothing else is left to click on.
    """
    errors = masks ^ answers
    faultless = ~errors.flatten(2).any(-1)
    points, labels = [], []
    for click in range(session.clicks_per_round):
        purpose = PURPOSE_CORRECTION + 2 * (turn * session.clicks_per_round + click)
        from_truth = faultless | (uniform(keys, purpose) < session.truth_click_chance)
        region = torch.where(from_truth[..., None, None], masks, errors)
        point = draw_clicks(region, uniform(keys, purpose + 1))
        points.append(point)
        labels.append(labels_at(masks, point))
    return torch.stack(points, dim=-2), torch.stack(labels, dim=-1)


def labels_at(masks: Tensor, points: Tensor) -> Tensor:
    """Whether the truth (B, N, S, S) bool holds each point (B, N, 2) xy: (B, N) int64, 1 or 0."""
    column, row = points.long().unbind(-1)
    index = (row * masks.shape[-1] + column)[..., None]
    return masks.flatten(2).gather(2, index).squeeze(2).long()
