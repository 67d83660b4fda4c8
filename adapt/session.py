"""The interactive session of training: prompt, decode, click on what is wrong, decode again.

Source: Segment Anything (Kirillov et al., 2023), appendix A, "Training algorithm". Image features come from one run of
the encoder. Each round is recomputed in the backward pass, so memory is that of one round, however many there are.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from adapt.frames import Frame, logits_to_image_frame
from adapt.losses import LossWeights, ObjectLosses, PointSites, object_losses, resize_targets
from adapt.prompts import (
    LARGEST_LOGIT,
    Prompts,
    PromptSimulation,
    Session,
    draw_corrections,
    draw_embeddings,
    draw_keys,
    draw_prompts,
    idle_rounds,
    mix,
    object_keys,
    uniform,
)
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter
from adapt.uncertain_points import OVERSAMPLING, UNCERTAIN_SHARE, sample_at, uncertain_points

PURPOSE_LOSS_POINTS = 100_000  # and the numbers after it, two a round


@dataclass(frozen=True)
class Objective:
    """What is minimised; see `LossSettings` of the recipe for the defaults.

    Attributes:
        weights: of the terms.
        at: where focal and dice are taken: at the pixels of the predicted masks, at those of the model frame, or at
            points where the masks are uncertain.
        points: how many, for `points`.
    """

    weights: LossWeights
    at: Literal["mask", "image", "points"]
    points: int


@dataclass(frozen=True, eq=False)
class Truth:
    """What a session knows of B images with N objects.

    Attributes:
        masks: (B, N, S, S) bool, model frame.
        targets: (B, N, h, w) bool, the same at the size of the losses.
        extents: (B, 2) float32, width and height of each image inside the model frame.
        keys: (B, N) int64, from which the object's draws come.
    """

    masks: Tensor
    targets: Tensor
    extents: Tensor
    keys: Tensor

    def select(self, index: Tensor) -> "Truth":
        """Of the images that a (K,) int64 index names."""
        return Truth(self.masks[index], self.targets[index], self.extents[index], self.keys[index])


@dataclass(frozen=True, eq=False)
class Answers:
    """What a user sees of B images with N objects, and what a memory needs of it.

    Attributes:
        logits: (B, N, h, w) float, of the candidate whose predicted IoU is highest.
        tokens: (B, N, C) float, of the same; None in families without memory.
        presence: (B, N) float; see `MaskPredictions`.
    """

    logits: Tensor
    tokens: Tensor | None
    presence: Tensor | None


def session_losses(
    segmenter: PromptableSegmenter,
    features: ImageFeatures,
    batch: Batch,
    *,
    epoch: int,
    step: int,
    simulation: PromptSimulation,
    session: Session,
    objective: Objective,
) -> tuple[ObjectLosses, Tensor]:
    """Losses of all objects of a batch, averaged over the rounds of a session.

    A single click is ambiguous and gets three candidates; a box, which counts as two points, and every later round get
    the single-mask output. So the images of a batch are decoded in two parts, by their first prompt. With embeddings in
    the batch, these are the first prompts of all, and get the single-mask output too.

    Args:
        segmenter: what trains is chosen.
        features: of the batch's images.
        batch: see `Batch`.
        epoch: the draws of another epoch differ.
        step: of the epoch; decides which rounds bring no new click.
        simulation: of the first prompt.
        session: see `Session`.
        objective: see `Objective`.

    Returns:
        Losses of all B * N objects in one dimension, the images with clicks first, their totals weighted by
        `Batch.weights`; and which of them count (B * N,), see `Batch.weighed`.
    """
    image_keys = draw_keys(batch.sample_keys, seed=simulation.seed, epoch=epoch)
    truth = truth_of_batch(batch, image_keys, size=segmenter.spec.mask_size, objective=objective)
    idle = idle_rounds(session, seed=simulation.seed, epoch=epoch, step=step)
    firsts = first_prompts(batch, truth.keys, epoch=epoch, simulation=simulation)
    parts: list[ObjectLosses] = []
    weighed: list[Tensor] = []
    weights: list[Tensor] = []
    for prompted, prompts, multimask in firsts:
        chosen = prompted.nonzero().squeeze(1)
        if not len(chosen):
            continue
        rounds, _ = session_rounds(
            partial(segmenter.decode, features.select(chosen)),
            prompts.select(chosen),
            truth.select(chosen),
            multimask=multimask,
            idle=idle,
            session=session,
            objective=objective,
        )
        parts.append(mean_of_rounds(rounds))
        weighed.append(batch.weighed[chosen].flatten())
        weights.append(batch.weights[chosen].flatten())
    losses = joined(parts)
    return replace(losses, total=losses.total * torch.cat(weights)), torch.cat(weighed)


def truth_of_batch(batch: Batch, image_keys: Tensor, *, size: int, objective: Objective) -> Truth:
    """Of all images of a batch, whose draws come from (B,) int64 keys; `size` is that of predicted masks."""
    return Truth(
        masks=batch.masks,
        targets=batch.masks if objective.at == "image" else resize_targets(batch.masks, size),
        extents=batch.extents,
        keys=object_keys(image_keys, batch.masks.shape[1]),
    )


def first_prompts(
    batch: Batch, keys: Tensor, *, epoch: int, simulation: PromptSimulation
) -> list[tuple[Tensor, Prompts, bool]]:
    """Which images (B,) bool are prompted how at first, and whether they get several candidates; of each kind one."""
    if batch.embeddings is not None:
        every = batch.object_valid.any(1)
        return [(every, draw_embeddings(batch.embeddings, batch.object_valid, keys), False)]
    by_box, clicks, boxes = draw_prompts(
        batch.masks, batch.extents, batch.object_valid, batch.sample_keys, epoch=epoch, simulation=simulation
    )
    return [(~by_box, clicks, True), (by_box, boxes, False)]


class Decode(Protocol):
    """From prompts of B images to masks, whatever is known of the images."""

    def __call__(self, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        """See `PromptableSegmenter.decode`."""
        ...


def session_rounds(
    decode: Decode,
    prompts: Prompts,
    truth: Truth,
    *,
    multimask: bool,
    idle: frozenset[int],
    session: Session,
    objective: Objective,
    rounds: int | None = None,
    present: Tensor | None = None,
) -> tuple[list[ObjectLosses], Answers]:
    """Losses (B, N) of each round, for images whose first prompts are of one kind; and the last round's answers.

    Args:
        decode: of the images.
        prompts: the first ones.
        truth: of the images.
        multimask: several candidates in the first round.
        idle: rounds without a new click.
        session: see `Session`.
        objective: see `Objective`.
        rounds: fewer than the session's; None for all.
        present: (B, N) bool, the objects that are there at all; None for all.
    """

    def turned(prompts: Prompts, turn: int) -> tuple[ObjectLosses, Answers]:
        predictions = decode(prompts, multimask=multimask and turn == 0)
        losses = _losses(predictions, prompts.object_valid, truth, turn=turn, objective=objective, present=present)
        return losses, most_confident_answers(predictions)

    count = session.rounds if rounds is None else rounds
    recompute = count > 1 and torch.is_grad_enabled()
    found: list[ObjectLosses] = []
    for turn in range(count):
        losses, answers = checkpoint(turned, prompts, turn, use_reentrant=False) if recompute else turned(prompts, turn)
        found.append(losses)
        if turn + 1 < count:
            logits = answers.logits.detach()
            prompts = _next_prompts(prompts, logits, truth, turn=turn + 1, idle=idle, session=session)
    return found, answers


@torch.no_grad()
def _next_prompts(
    prompts: Prompts, answer: Tensor, truth: Truth, *, turn: int, idle: frozenset[int], session: Session
) -> Prompts:
    """The prompts of a round: those before it, clicks on what is wrong with the answer, and the answer's logits."""
    if turn not in idle:
        seen = answer_in_model_frame(answer, truth.extents, size=truth.masks.shape[-1])
        prompts = prompts.add_clicks(*draw_corrections(truth.masks, seen, truth.keys, turn=turn, session=session))
    if session.mask_prompts:
        prompts = replace(prompts, masks=answer.clamp(-LARGEST_LOGIT, LARGEST_LOGIT).unsqueeze(2))
    return prompts


def _losses(
    predictions: MaskPredictions,
    object_valid: Tensor,
    truth: Truth,
    *,
    turn: int,
    objective: Objective,
    present: Tensor | None,
) -> ObjectLosses:
    logits, points = predictions.logits, None
    if objective.at == "image":
        size = truth.masks.shape[-1]
        logits = logits_to_image_frame(logits, Frame(size, size, size, "stretch"))
    elif objective.at == "points":
        places = _loss_points(logits, truth, turn=turn, count=objective.points)
        points = PointSites(sample_at(logits, places), sample_at(truth.masks[:, :, None], places).squeeze(2))
    return object_losses(
        logits,
        predictions.iou,
        truth.targets,
        object_valid,
        weights=objective.weights,
        points=points,
        presence=predictions.presence,
        present=present,
    )


def _loss_points(logits: Tensor, truth: Truth, *, turn: int, count: int) -> Tensor:
    """(B, N, count, 2) xy in 0..1 of the model frame, inside the images."""
    anywhere = count - int(UNCERTAIN_SHARE * count)
    numbers = torch.arange(count * OVERSAMPLING + anywhere, device=logits.device)
    keys = mix(truth.keys[..., None] ^ mix(numbers))
    purpose = PURPOSE_LOSS_POINTS + 2 * turn
    draws = torch.stack((uniform(keys, purpose), uniform(keys, purpose + 1)), dim=-1)
    draws = draws * (truth.extents / truth.masks.shape[-1])[:, None, None, :]
    return uncertain_points(logits, draws[:, :, anywhere:], draws[:, :, :anywhere])


def most_confident(predictions: MaskPredictions) -> Tensor:
    """(B, N, h, w) logits of the candidate whose predicted IoU is highest."""
    best = predictions.iou.argmax(-1)[..., None, None, None]
    return predictions.logits.gather(2, best.expand(-1, -1, 1, *predictions.logits.shape[-2:])).squeeze(2)


def most_confident_answers(predictions: MaskPredictions) -> Answers:
    """The same, with what else is known of it."""
    tokens = predictions.tokens
    if tokens is not None:
        best = predictions.iou.argmax(-1)[..., None, None]
        tokens = tokens.gather(2, best.expand(-1, -1, 1, tokens.shape[-1])).squeeze(2)
    return Answers(most_confident(predictions), tokens, predictions.presence)


def mean_of_rounds(rounds: list[ObjectLosses]) -> ObjectLosses:
    """Losses of each object, averaged over the rounds of its session."""
    return _combined(rounds, _average)


def joined(parts: list[ObjectLosses]) -> ObjectLosses:
    """Losses of several batches' objects, in one dimension."""
    return _combined(parts, lambda values: torch.cat([value.flatten() for value in values]))


def answer_in_model_frame(logits: Tensor, extents: Tensor, *, size: int) -> Tensor:
    """(B, N, size, size) bool masks of (B, N, h, w) logits; False in the padding, where no user can click.

    Args:
        logits: of the whole model frame, at any size.
        extents: (B, 2) float32, width and height of each image inside the model frame.
        size: side of the model frame.
    """
    masks = logits_to_image_frame(logits, Frame(size, size, size, "stretch")) > 0
    place = torch.arange(size, device=logits.device)
    inside_x, inside_y = (place < extents[:, axis, None] for axis in (0, 1))  # (B, size) each
    return masks & (inside_y[:, None, :, None] & inside_x[:, None, None, :])


def _combined(parts: list[ObjectLosses], combine: Callable[[list[Tensor]], Tensor]) -> ObjectLosses:
    """Losses combined field by field."""
    return ObjectLosses(
        **{field.name: combine([getattr(part, field.name) for part in parts]) for field in fields(ObjectLosses)}
    )


def _average(rounds: list[Tensor]) -> Tensor:
    """Mean over rounds; an index, as the winning candidate's, is the first round's, the only one with a choice."""
    return torch.stack(rounds).mean(0) if rounds[0].is_floating_point() else rounds[0]
