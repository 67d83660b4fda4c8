"""Ask a segmenter for prompted objects of one image: encoded once, all prompts of a kind decoded together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.frames import Frame, logits_to_image_frame, to_model_frame
from adapt.predict.prompted import PromptedObject
from adapt.prompts import Prompts
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter

CHUNK_PIXELS = 40_000_000
"""Candidate pixels that are brought to the image frame at once; bounds the memory, down to an object at a time."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a segmenter gives for one object: its most confident candidate.

    Attributes:
        mask: (H, W) bool, image frame; may be empty.
        logits: (h, w) float32 of the same, model frame, to prompt another image of the same size with.
        predicted_iou: what the segmenter expects of it.
        token: (C,) float, by which the object is remembered; None in families without memory.
    """

    mask: npt.NDArray[np.bool_]
    logits: Tensor
    predicted_iou: float
    token: Tensor | None = None

    def blank(self) -> "Answer":
        """The same without a pixel."""
        return replace(self, mask=np.zeros_like(self.mask))


@torch.inference_mode()
def encode(segmenter: PromptableSegmenter, image: npt.NDArray[np.uint8], device: torch.device) -> ImageFeatures:
    """Features of an image (H, W, 3) uint8; the only run of the encoder."""
    return segmenter.encode(segmenter.spec.to_model_frame(image)[None].to(device))


@torch.inference_mode()
def ask(
    segmenter: PromptableSegmenter,
    features: ImageFeatures,
    objects: Sequence[PromptedObject],
    *,
    height: int,
    width: int,
    masks: Sequence[Tensor] | None = None,
) -> Iterator[tuple[int, Answer]]:
    """The answer for each object, with its place among them; those with prompts of one kind come together.

    A single click is ambiguous, so it gets several candidates and the one of highest predicted IoU; everything else
    gets one mask (Segment Anything, section 3). Objects with as many clicks are one batch: padding clicks would be
    seen by the decoder, if faintly.

    Args:
        segmenter: in eval mode.
        features: of the image.
        objects: in the image's frame.
        height: of the image.
        width: of the image.
        masks: (h, w) logits to prompt each object with as well; see `Answer.logits`.
    """
    frame = segmenter.spec.frame(height, width)
    kinds = sorted(range(len(objects)), key=lambda index: _kind(objects[index]))
    for (clicks, boxed), places in groupby(kinds, key=lambda index: _kind(objects[index])):
        multimask = clicks == 1 and not boxed and masks is None
        candidates = segmenter.spec.candidates if multimask else 1
        chunk = max(1, CHUNK_PIXELS // (candidates * max(height * width, frame.size**2)))
        of_kind = list(places)
        for start in range(0, len(of_kind), chunk):
            part = of_kind[start : start + chunk]
            prompts = prompts_of([objects[index] for index in part], frame, features.embedding.device)
            if masks is not None:
                seen = torch.stack([masks[index] for index in part])[None, :, None]
                prompts = Prompts(
                    object_valid=prompts.object_valid,
                    points=prompts.points,
                    point_labels=prompts.point_labels,
                    boxes=prompts.boxes,
                    masks=seen.to(features.embedding.device),
                )
            yield from zip(
                part, answers_of(segmenter.decode(features, prompts, multimask=multimask), frame), strict=True
            )


def _kind(wanted: PromptedObject) -> tuple[int, bool]:
    return len(wanted.clicks), wanted.box is not None


def prompts_of(objects: Sequence[PromptedObject], frame: Frame, device: torch.device) -> Prompts:
    """Prompts of one kind, as those of one image."""
    points = labels = boxes = None
    if objects[0].clicks:
        clicks = torch.tensor([wanted.clicks for wanted in objects], dtype=torch.float32)[None]
        points, labels = to_model_frame(clicks[..., :2], frame), clicks[..., 2].long()
    if objects[0].box is not None:
        corners = torch.tensor([wanted.box for wanted in objects], dtype=torch.float32)
        boxes = to_model_frame(corners.reshape(1, -1, 2, 2), frame).flatten(2)
    valid = torch.ones(1, len(objects), dtype=torch.bool)
    return Prompts(object_valid=valid, points=points, point_labels=labels, boxes=boxes).to(device)


def answers_of(predictions: MaskPredictions, frame: Frame) -> list[Answer]:
    """The most confident candidate of each object of one image."""
    expected = predictions.iou[0].float()
    best = expected.argmax(dim=1)
    each = torch.arange(len(best), device=best.device)
    logits = predictions.logits[0, each, best]
    masks = (logits_to_image_frame(logits, frame) > 0).cpu().numpy()
    confidence = expected[each, best].tolist()
    tokens = [None] * len(best) if predictions.tokens is None else list(predictions.tokens[0, each, best])
    return [
        Answer(mask=mask, logits=logit.float().cpu(), predicted_iou=value, token=token)
        for mask, logit, value, token in zip(masks, logits, confidence, tokens, strict=True)
    ]
