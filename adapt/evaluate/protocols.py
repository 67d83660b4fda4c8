"""Prompt every test object the same way for each model, and score the masks in the image frame.

Protocols: `one_click`, the pixel farthest from the object's border, three candidates; `box`, the tight box,
the single-mask output. The candidate of highest predicted IoU is the answer (most confident); the candidate
of highest true IoU is what a user would have chosen (oracle).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.formats import encode_masks
from adapt.frames import Frame, image_to_model_frame, logits_to_image_frame, to_model_frame
from adapt.metrics import box_masks, dice, iou
from adapt.prompts import Prompts, box_prompts, center_points, point_prompts, tight_boxes
from adapt.samples import Sample
from adapt.segmenters import ImageFeatures, PromptableSegmenter

CHUNK_PIXELS = 40_000_000
"""Candidate pixels of the image frame that are decoded at once; bounds the memory, down to one object at a time."""


@dataclass(frozen=True)
class ObjectScore:
    """One object, one protocol, one model.

    Attributes:
        index: of the object in its sample.
        iou, dice: of the most confident candidate.
        oracle_iou: of the best candidate.
        predicted_iou: what the model expected of its answer.
        mask: the answer, run-length encoded in the image frame.
    """

    model: str
    protocol: str
    sample_id: str
    index: int
    category: str
    group: str
    pixels: int
    iou: float
    oracle_iou: float
    dice: float
    predicted_iou: float
    box_iou: float
    mask: bytes


def _one_click(masks: npt.NDArray[np.bool_], frame: Frame) -> Prompts:
    points = to_model_frame(torch.from_numpy(center_points(masks)), frame)
    return point_prompts(points[None], torch.ones(1, len(masks), dtype=torch.bool))


def _box(masks: npt.NDArray[np.bool_], frame: Frame) -> Prompts:
    corners = tight_boxes(torch.from_numpy(masks)).unflatten(-1, (2, 2))
    return box_prompts(to_model_frame(corners, frame).flatten(-2)[None], torch.ones(1, len(masks), dtype=torch.bool))


@dataclass(frozen=True)
class Protocol:
    """How objects are prompted, and whether the answer is one of several candidates."""

    prompts: Callable[[npt.NDArray[np.bool_], Frame], Prompts]
    multimask: bool


PROTOCOLS = {"one_click": Protocol(_one_click, multimask=True), "box": Protocol(_box, multimask=False)}


def score_samples(
    samples: Iterable[Sample],
    models: Mapping[str, PromptableSegmenter],
    *,
    protocols: list[str],
    device: torch.device,
) -> Iterator[list[ObjectScore]]:
    """Scores of each sample, one list a sample, as they come.

    Models with equal encoders share one run of it an image.

    Args:
        samples: in the image frame.
        models: name (base, tuned) to segmenter, on `device`, in eval mode.
        protocols: names of `PROTOCOLS`.
        device: where the models are.
    """
    encoders = _shared_encoders(models)
    for sample in samples:
        with torch.inference_mode():
            features = {
                name: model.encode(_image(sample, model).to(device))
                for name, model in models.items()
                if encoders[name] == name
            }
            scores = [
                score
                for name, model in models.items()
                for protocol in protocols
                for score in _scores(
                    sample, model, features[encoders[name]], name=name, protocol=protocol, device=device
                )
            ]
        yield scores  # outside the block: inference mode would last in the caller until the next sample


def _image(sample: Sample, model: PromptableSegmenter) -> Tensor:
    spec = model.spec
    return image_to_model_frame(sample.image, size=spec.image_size, mean=spec.pixel_mean, std=spec.pixel_std)[None]


def _shared_encoders(models: Mapping[str, PromptableSegmenter]) -> dict[str, str]:
    """Model to the first model whose encoder has the same weights."""
    first: dict[str, str] = {}
    for name, model in models.items():
        first[name] = next((other for other in first if _same_encoder(models[other], model)), name)
    return first


def _same_encoder(one: PromptableSegmenter, other: PromptableSegmenter) -> bool:
    if one.encoder is other.encoder:
        return True
    left, right = one.encoder.state_dict(), other.encoder.state_dict()
    return (
        one.spec == other.spec
        and left.keys() == right.keys()
        and all(left[key].shape == right[key].shape and torch.equal(left[key], right[key]) for key in left)
    )


def _scores(
    sample: Sample,
    model: PromptableSegmenter,
    features: ImageFeatures,
    *,
    name: str,
    protocol: str,
    device: torch.device,
) -> Iterator[ObjectScore]:
    height, width = sample.image.shape[:2]
    frame = Frame(height, width, model.spec.image_size)
    how = PROTOCOLS[protocol]
    candidates = model.spec.candidates if how.multimask else 1
    chunk = max(1, CHUNK_PIXELS // (candidates * max(height * width, model.spec.image_size**2)))
    for start in range(0, len(sample.masks), chunk):
        truth = sample.masks[start : start + chunk]
        prompts = how.prompts(truth, frame)
        predictions = model.decode(features, prompts.to(device), multimask=how.multimask)
        masks = (logits_to_image_frame(predictions.logits[0], frame) > 0).cpu().numpy()
        predicted_iou = predictions.iou[0].float().cpu().numpy()
        ious = iou(masks, truth[:, None])
        answer = predicted_iou.argmax(axis=1)
        objects = np.arange(len(truth))
        answers = masks[objects, answer]
        dices, boxes, encoded = dice(answers, truth), iou(box_masks(truth), truth), encode_masks(answers)
        for index in range(len(truth)):
            yield ObjectScore(
                model=name,
                protocol=protocol,
                sample_id=sample.sample_id,
                index=start + index,
                category=sample.categories[start + index],
                group=sample.group,
                pixels=int(np.count_nonzero(truth[index])),
                iou=float(ious[index, answer[index]]),
                oracle_iou=float(ious[index].max()),
                dice=float(dices[index]),
                predicted_iou=float(predicted_iou[index, answer[index]]),
                box_iou=float(boxes[index]),
                mask=encoded[index],
            )
