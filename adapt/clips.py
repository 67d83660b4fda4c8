"""Training on clips: objects are prompted in the first frame, and found in the others by memory.

Source: SAM 2 (Ravi et al., 2024), appendix D.2.2: sequences of 8 frames, of which up to 2 are prompted and corrected by
clicks; in frames that an object has left only the object score learns. Here the frames are slices of a volume.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from adapt.losses import ObjectLosses, mask_iou, resize_targets
from adapt.prompts import (
    Prompts,
    PromptSimulation,
    Session,
    box_prompts,
    center_points,
    draw_keys,
    draw_prompts,
    idle_rounds,
    no_prompts,
    point_prompts,
    tight_boxes,
)
from adapt.samples import Batch
from adapt.segmenters import Bank, ImageFeatures, MaskPredictions, ObjectMemory, Segmenter
from adapt.session import (
    Answers,
    Decode,
    Objective,
    joined,
    mean_of_rounds,
    most_confident_answers,
    session_rounds,
    truth_of_batch,
)

STREAM_CORRECTED = 1
"""Tells the draw of the corrected frame apart from that of idle rounds."""


@dataclass(frozen=True)
class Clips:
    """See `ClipSettings` of the recipe for the defaults.

    Attributes:
        corrected: chance that a further frame is corrected by clicks.
    """

    corrected: float


class Followed:
    """The objects of B clips, and what is remembered of them so far."""

    def __init__(self, segmenter: Segmenter, features: ImageFeatures, batch: Batch, *, training: bool) -> None:
        """Of a batch of clips and its features; `training` as in `ObjectMemory.remember`."""
        memory = segmenter.memory
        assert memory is not None  # see `adapt.build.model.tune`
        self._segmenter, self._features, self._training = segmenter, features, training
        self._memory: ObjectMemory = memory
        every = torch.arange(len(batch.sample_ids), device=batch.masks.device)
        self._places = every.reshape(-1, batch.frames)
        self._bank, self.frames = Bank(), batch.frames
        self.valid = batch.object_valid[self._places[:, 0]]
        self._chosen = self.valid.flatten().nonzero().squeeze(1)

    def places(self, frame: int) -> Tensor:
        """(B,) int64, the images of a frame in the batch."""
        return self._places[:, frame]

    def decode(self, frame: int, prompts: Prompts, *, multimask: bool, chosen: Tensor | None = None) -> MaskPredictions:
        """Masks in a frame without any memory, of some clips by their numbers; of all by default."""
        places = self.places(frame) if chosen is None else self.places(frame)[chosen]
        return self._segmenter.decode(self._features.select(places), prompts, multimask=multimask)

    def by_memory(self, frame: int) -> Decode:
        """What decodes a frame by all that is remembered so far, whatever is remembered later, and by prompts."""
        features = self._features.select(self.places(frame))
        images = self._chosen // self.valid.shape[1]
        recalled = self._bank.seen_from(frame, step=1, reach=self._memory.pointers)
        conditioned = self._memory.condition(features, images, recalled, frames=self.frames)
        return partial(self._segmenter.decode, features, conditioned=conditioned)

    @property
    def candidates(self) -> bool:
        """See `ObjectMemory.candidates`."""
        return self._memory.candidates

    def remember(self, frame: int, answers: Answers, *, prompted: bool) -> None:
        """Keep the answers of a frame. Of the first one, whose objects are there, the object score is not asked."""
        assert answers.tokens is not None and answers.presence is not None
        logits, tokens, presence = (
            values.flatten(0, 1)[self._chosen] for values in (answers.logits, answers.tokens, answers.presence)
        )
        kept = self._memory.remember(
            self._features.select(self.places(frame)),
            self._chosen // self.valid.shape[1],
            logits=logits,
            tokens=tokens,
            present=torch.ones_like(presence, dtype=torch.bool) if not frame else presence > 0,
            prompted=prompted,
            training=self._training,
        )
        (self._bank.prompted if prompted else self._bank.followed)[frame] = kept


def clip_losses(
    segmenter: Segmenter,
    features: ImageFeatures,
    batch: Batch,
    *,
    epoch: int,
    step: int,
    simulation: PromptSimulation,
    session: Session,
    objective: Objective,
    clips: Clips,
) -> tuple[ObjectLosses, Tensor]:
    """Losses of all objects of a batch of clips in each frame, averaged over the rounds of the frame.

    The first frame has a session as an image has. The others are predicted from memory; with the chance of
    `Clips.corrected` one of them, the same in all clips of a step, is corrected by as many clicks.

    Args:
        segmenter: with a memory; what trains is chosen.
        features: of the batch's images.
        batch: see `Batch`, of clips.
        epoch: the draws of another epoch differ.
        step: of the epoch; decides on idle rounds, and on the corrected frame.
        simulation: of the first prompt.
        session: see `Session`.
        objective: see `Objective`.
        clips: see `Clips`.

    Returns:
        Losses of all objects in all frames in one dimension, frame by frame, their totals weighted by `Batch.weights`;
        and which of them count, see `Batch.weighed`.
    """
    followed = Followed(segmenter, features, batch, training=True)
    truth = truth_of_batch(
        batch,
        draw_keys(batch.sample_keys, seed=simulation.seed, epoch=epoch),
        size=segmenter.spec.mask_size,
        objective=objective,
    )
    first = followed.places(0)
    by_box, clicks, boxes = draw_prompts(
        batch.masks[first],
        batch.extents[first],
        followed.valid,
        batch.sample_keys[first],
        epoch=epoch,
        simulation=simulation,
    )
    idle = idle_rounds(session, seed=simulation.seed, epoch=epoch, step=step)
    kinds: list[tuple[Tensor, ObjectLosses, Answers]] = []
    for prompted, prompts, multimask in ((~by_box, clicks, True), (by_box, boxes, False)):
        chosen = prompted.nonzero().squeeze(1)
        if not len(chosen):
            continue
        rounds, answers = session_rounds(
            partial(followed.decode, 0, chosen=chosen),
            prompts.select(chosen),
            truth.select(first[chosen]),
            multimask=multimask,
            idle=idle,
            session=session,
            objective=objective,
        )
        kinds.append((chosen, mean_of_rounds(rounds), answers))
    order = torch.cat([chosen for chosen, _, _ in kinds])
    followed.remember(0, _in_order([answers for _, _, answers in kinds], order.argsort()), prompted=True)
    parts, places = [losses for _, losses, _ in kinds], [first[order]]
    corrected = corrected_frame(clips, frames=batch.frames, seed=simulation.seed, epoch=epoch, step=step)
    for frame in range(1, batch.frames):
        of_frame = followed.places(frame)
        rounds, answers = session_rounds(
            followed.by_memory(frame),
            no_prompts(followed.valid),
            truth.select(of_frame),
            multimask=followed.candidates,
            idle=frozenset(),
            session=session,
            objective=objective,
            rounds=session.rounds if frame == corrected else 1,
            present=batch.masks[of_frame].flatten(2).any(-1),
        )
        followed.remember(frame, answers, prompted=frame == corrected)
        parts.append(mean_of_rounds(rounds))
        places.append(of_frame)
    all_places = torch.cat(places)
    losses = joined(parts)
    weights = batch.weights[all_places].flatten()
    return replace(losses, total=losses.total * weights), batch.weighed[all_places].flatten()


def corrected_frame(clips: Clips, *, frames: int, seed: int, epoch: int, step: int) -> int | None:
    """The frame behind the first one that is corrected in a step; None in some steps."""
    random = np.random.default_rng([seed, epoch, step, STREAM_CORRECTED])
    return int(random.integers(1, frames)) if random.random() < clips.corrected else None


def _in_order(parts: list[Answers], order: Tensor) -> Answers:
    """The answers of several parts of a batch, put into an order."""
    tokens = [part.tokens for part in parts if part.tokens is not None]
    presence = [part.presence for part in parts if part.presence is not None]
    logits = torch.cat([part.logits for part in parts])
    return Answers(logits[order], torch.cat(tokens)[order], torch.cat(presence)[order])


@torch.no_grad()
def clip_ious(segmenter: Segmenter, features: ImageFeatures, batch: Batch, *, by_box: bool) -> Tensor:
    """How well objects are found in their clips from one prompt in the first frame: (B, N) float32.

    The IoU of each object, at the size of predicted masks, averaged over the frames that count. In a frame that it has
    left, it is 1 if the answer is empty.

    Args:
        segmenter: with a memory.
        features: of the batch's images.
        batch: see `Batch`, of clips.
        by_box: prompted by its box, else by a click far from its border.
    """
    followed = Followed(segmenter, features, batch, training=False)
    first, valid = followed.places(0), followed.valid
    masks = batch.masks[first]
    if by_box:
        prompts = box_prompts(tight_boxes(masks), valid)
    else:
        points = center_points(masks.flatten(0, 1).cpu().numpy()).reshape(*valid.shape, 2)
        prompts = point_prompts(torch.as_tensor(points, dtype=torch.float32, device=masks.device), valid)
    total = torch.zeros(valid.shape, device=masks.device)
    for frame in range(batch.frames):
        if frame:
            predictions = followed.by_memory(frame)(no_prompts(valid), multimask=followed.candidates)
        else:
            predictions = followed.decode(0, prompts, multimask=not by_box)
        answers, places = most_confident_answers(predictions), followed.places(frame)
        followed.remember(frame, answers, prompted=not frame)
        seen = answers.logits > 0
        if frame and answers.presence is not None:
            seen &= (answers.presence > 0)[..., None, None]
        ious = mask_iou(seen, resize_targets(batch.masks[places], seen.shape[-1]))
        total += ious * batch.counted[places, None]
    return total / batch.counted.reshape(-1, batch.frames).sum(1, keepdim=True)
