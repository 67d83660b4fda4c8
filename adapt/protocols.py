"""Prompt every test object the same way for each model, and score the masks in the image frame.

Protocols: `one_click`, the pixel farthest from the object's border, three candidates; `box`, the tight box,
the single-mask output; `jittered_box`, the box with corners off by 10 % of its side, as people draw it; `clicks`, one
click and then the centre of the largest error again and again, each with the logits of the answer before it (RITM,
Sofiiuk et al., 2022). The candidate of highest predicted IoU is the answer (most confident); the candidate of highest
true IoU is what a user would have chosen (oracle).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.frames import Frame, logits_to_image_frame, to_image_frame, to_model_frame
from adapt.metrics import dice_of_counts, iou_of_counts
from adapt.metrics.pixels import count_pixels
from adapt.prompts import (
    LARGEST_LOGIT,
    REFERENCE_SIZE,
    Prompts,
    box_prompts,
    center_points,
    correction_points,
    draw_keys,
    jitter_boxes,
    object_keys,
    point_prompts,
    tight_boxes,
)
from adapt.segmenters import ImageFeatures, PromptableSegmenter

CHUNK_PIXELS = 40_000_000
"""Candidate pixels of the image frame that are decoded at once; bounds the memory, down to one object at a time."""
JITTER, JITTER_MAX = 0.1, 20.0
"""Of a jittered box (SAM, appendix A): standard deviation as a share of the side, largest shift in pixels at 1024."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of an image's N objects, found once for all models and protocols; image frame.

    Attributes:
        masks: (N, H, W) bool, on the device of the models.
        points: (N, 2) float32 xy, the pixel farthest from the border.
        boxes: (N, 4) float32 XYXY, tight.
        pixels: N areas.
        box_ious: N IoUs of the filled tight box: what a box is worth without a model.
        keys: (N,) int64, from which what is drawn for an object comes.
        embeddings: (N, D) float32 of CLIP, of each object's category; None if nobody has asked.
    """

    masks: Tensor
    points: Tensor
    boxes: Tensor
    pixels: npt.NDArray[np.int64]
    box_ious: npt.NDArray[np.float64]
    keys: Tensor
    embeddings: Tensor | None = None


def truth_of(masks: npt.NDArray[np.bool_], key: int, device: torch.device) -> Truth:
    """What is known of an image, with its masks on `device`.

    Args:
        masks: (N, H, W) bool, none empty.
        key: of the sample, from which what is drawn comes; see `sample_key`.
        device: where the models are.
    """
    of_objects = torch.from_numpy(masks)
    boxes = tight_boxes(of_objects)
    pixels = count_pixels(of_objects)
    box_areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1).double().numpy()
    return Truth(
        masks=of_objects.to(device),
        points=torch.from_numpy(center_points(masks)),
        boxes=boxes,
        pixels=pixels,
        box_ious=pixels / box_areas,
        keys=object_keys(draw_keys(torch.tensor([key]), seed=0, epoch=0), len(boxes))[0],
    )


@dataclass(frozen=True)
class Protocol:
    """How objects are prompted.

    Attributes:
        prompts: the first prompts of some of the objects.
        multimask: whether the first answer is one of several candidates.
        corrects: whether more clicks follow.
    """

    prompts: Callable[[Truth, slice, Frame], Prompts]
    multimask: bool
    corrects: bool = False


def _one_click(truth: Truth, part: slice, frame: Frame) -> Prompts:
    points = to_model_frame(truth.points[part], frame)
    return point_prompts(points[None], torch.ones(1, len(points), dtype=torch.bool))


def _box(truth: Truth, part: slice, frame: Frame) -> Prompts:
    boxes = to_model_frame(truth.boxes[part].reshape(-1, 2, 2), frame).flatten(1)
    return box_prompts(boxes[None], torch.ones(1, len(boxes), dtype=torch.bool))


def _jittered_box(truth: Truth, part: slice, frame: Frame) -> Prompts:
    exact = _box(truth, part, frame)
    height, width = frame.resized
    assert exact.boxes is not None
    boxes = jitter_boxes(
        exact.boxes,
        torch.tensor([[width, height]], dtype=torch.float32),
        truth.keys[None, part],
        noise=JITTER,
        max_shift=JITTER_MAX * frame.size / REFERENCE_SIZE,
    )
    return replace(exact, boxes=boxes)


def _by_text(truth: Truth, part: slice, frame: Frame) -> Prompts:
    assert truth.embeddings is not None  # whoever asks by text has them
    embeddings = truth.embeddings[None, part]
    return Prompts(object_valid=torch.ones(1, embeddings.shape[1], dtype=torch.bool), embeddings=embeddings)


PROTOCOLS = {
    "one_click": Protocol(_one_click, multimask=True),
    "box": Protocol(_box, multimask=False),
    "jittered_box": Protocol(_jittered_box, multimask=False),
    "clicks": Protocol(_one_click, multimask=True, corrects=True),
    "text": Protocol(_by_text, multimask=False),
}


@dataclass(frozen=True, eq=False)
class Answers:
    """Of n objects under one protocol.

    Attributes:
        masks: (n, H, W) bool, the last answers, image frame.
        pixels: (n,) their areas.
        curves: (n, clicks) IoU of the answer after each prompt.
        dice, predicted_iou, oracle_iou: (n,) of the last answer; the oracle is over its candidates.
        clicks: n tuples of x, y, label, image frame, as they were given.
        boxes: n XYXY, image frame, as they were given; None for clicks.
    """

    masks: npt.NDArray[np.bool_]
    pixels: npt.NDArray[np.int64]
    curves: npt.NDArray[np.float64]
    dice: npt.NDArray[np.float64]
    predicted_iou: npt.NDArray[np.float32]
    oracle_iou: npt.NDArray[np.float64]
    clicks: list[tuple[tuple[float, float, int], ...]]
    boxes: list[tuple[float, float, float, float] | None]


def answers_of(
    model: PromptableSegmenter, features: ImageFeatures, truth: Truth, *, how: Protocol, clicks: int
) -> Iterator[tuple[slice, Answers]]:
    """Prompt all objects of an image, as many at a time as `CHUNK_PIXELS` allows, and correct if the protocol does.

    Args:
        model: in eval mode.
        features: of the image.
        truth: of the image.
        how: see `Protocol`.
        clicks: how many, if the protocol corrects.

    Yields:
        Some of the objects, in their order, and their answers.
    """
    objects, height, width = truth.masks.shape
    frame = model.spec.frame(height, width)
    candidates = model.spec.candidates if how.multimask else 1
    chunk = max(1, CHUNK_PIXELS // (candidates * max(height * width, frame.size**2)))
    for start in range(0, objects, chunk):
        part = slice(start, start + chunk)
        yield part, _answers(model, features, truth, part, frame, how=how, clicks=clicks)


def _answers(
    model: PromptableSegmenter,
    features: ImageFeatures,
    truth: Truth,
    part: slice,
    frame: Frame,
    *,
    how: Protocol,
    clicks: int,
) -> Answers:
    device = truth.masks.device
    wanted, pixels = truth.masks[part], truth.pixels[part, None]
    prompts = how.prompts(truth, part, frame).to(device)
    curves: list[npt.NDArray[np.float64]] = []
    turns = clicks if how.corrects else 1
    for turn in range(turns):
        predictions = model.decode(features, prompts, multimask=how.multimask and turn == 0)
        candidates = logits_to_image_frame(predictions.logits[0], frame) > 0
        shared, areas = count_pixels(candidates & wanted[:, None]), count_pixels(candidates)
        ious = iou_of_counts(shared, areas, pixels)
        expected = predictions.iou[0].float().cpu().numpy()
        answer = expected.argmax(axis=1)
        each = np.arange(len(answer))
        masks = candidates[each, torch.from_numpy(answer)].cpu().numpy()
        curves.append(ious[each, answer])
        if turn + 1 < turns:
            points, labels = correction_points(wanted.cpu().numpy(), masks)
            placed = to_model_frame(torch.from_numpy(points), frame)[None, :, None].to(device)
            seen = predictions.logits[:, each, torch.from_numpy(answer)].clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
            prompts = prompts.add_clicks(placed, torch.from_numpy(labels)[None, :, None].to(device))
            prompts = replace(prompts, masks=seen.unsqueeze(2))
    return Answers(
        masks=masks,
        pixels=areas[each, answer],
        curves=np.stack(curves, axis=1),
        dice=dice_of_counts(shared, areas, pixels)[each, answer],
        predicted_iou=expected[each, answer],
        oracle_iou=ious.max(axis=1),
        clicks=_given_clicks(prompts, frame),
        boxes=_given_boxes(prompts, frame),
    )


def _given_clicks(prompts: Prompts, frame: Frame) -> list[tuple[tuple[float, float, int], ...]]:
    """Clicks of one image in its frame; none where a box is the only prompt."""
    if prompts.points is None or prompts.point_labels is None:
        return [()] * prompts.object_valid.shape[1]
    points = to_image_frame(prompts.points[0].cpu(), frame).tolist()
    labels = prompts.point_labels[0].tolist()
    return [tuple((x, y, label) for (x, y), label in zip(*of, strict=True)) for of in zip(points, labels, strict=True)]


def _given_boxes(prompts: Prompts, frame: Frame) -> list[tuple[float, float, float, float] | None]:
    """Boxes of one image in its frame."""
    if prompts.boxes is None:
        return [None] * prompts.object_valid.shape[1]
    corners = to_image_frame(prompts.boxes[0].cpu().reshape(-1, 2, 2), frame).flatten(1)
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in corners.tolist()]
