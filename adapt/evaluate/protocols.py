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
from adapt.metrics import dice_of_counts, iou_of_counts
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


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a sample's N objects, found once for all models and protocols; image frame.

    Attributes:
        masks: (N, H, W) bool, on the device of the models.
        points: (N, 2) float32 xy, the pixel farthest from the border.
        boxes: (N, 4) float32 XYXY, tight.
        pixels: N areas.
        box_ious: N IoUs of the filled tight box: what a box is worth without a model.
    """

    masks: Tensor
    points: Tensor
    boxes: Tensor
    pixels: npt.NDArray[np.int64]
    box_ious: npt.NDArray[np.float64]


def _truth(sample: Sample, device: torch.device) -> Truth:
    masks = torch.from_numpy(sample.masks)
    boxes = tight_boxes(masks)
    pixels = _count(masks)
    box_areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1).double().numpy()
    return Truth(
        masks=masks.to(device),
        points=torch.from_numpy(center_points(sample.masks)),
        boxes=boxes,
        pixels=pixels,
        box_ious=pixels / box_areas,
    )


def _count(masks: Tensor) -> npt.NDArray[np.int64]:
    """Pixels of (..., H, W) bool masks, as (...). On a CPU torch's sum takes thirty times as long as NumPy's count."""
    if masks.device.type != "cpu":
        return np.asarray(masks.sum((-2, -1)).cpu())
    flat = masks.flatten(0, -3).numpy()
    return np.array([np.count_nonzero(mask) for mask in flat], dtype=np.int64).reshape(masks.shape[:-2])


def _one_click(truth: Truth, part: slice, frame: Frame) -> Prompts:
    points = to_model_frame(truth.points[part], frame)
    return point_prompts(points[None], torch.ones(1, len(points), dtype=torch.bool))


def _box(truth: Truth, part: slice, frame: Frame) -> Prompts:
    boxes = to_model_frame(truth.boxes[part].reshape(-1, 2, 2), frame).flatten(1)
    return box_prompts(boxes[None], torch.ones(1, len(boxes), dtype=torch.bool))


@dataclass(frozen=True)
class Protocol:
    """How objects are prompted, and whether the answer is one of several candidates."""

    prompts: Callable[[Truth, slice, Frame], Prompts]
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
            truth = _truth(sample, device)
            features = {
                name: model.encode(_image(sample, model).to(device))
                for name, model in models.items()
                if encoders[name] == name
            }
            scores = [
                score
                for name, model in models.items()
                for protocol in protocols
                for score in _scores(sample, truth, model, features[encoders[name]], name=name, protocol=protocol)
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
    sample: Sample, truth: Truth, model: PromptableSegmenter, features: ImageFeatures, *, name: str, protocol: str
) -> Iterator[ObjectScore]:
    height, width = sample.image.shape[:2]
    frame = Frame(height, width, model.spec.image_size)
    how = PROTOCOLS[protocol]
    candidates = model.spec.candidates if how.multimask else 1
    chunk = max(1, CHUNK_PIXELS // (candidates * max(height * width, model.spec.image_size**2)))
    for start in range(0, len(sample.masks), chunk):
        part = slice(start, start + chunk)
        prompts = how.prompts(truth, part, frame).to(truth.masks.device)
        predictions = model.decode(features, prompts, multimask=how.multimask)
        masks = logits_to_image_frame(predictions.logits[0], frame) > 0
        shared, areas = _count(masks & truth.masks[part, None]), _count(masks)
        pixels = truth.pixels[part, None]
        ious, dices = iou_of_counts(shared, areas, pixels), dice_of_counts(shared, areas, pixels)
        predicted_iou = predictions.iou[0].float().cpu().numpy()
        answer = predicted_iou.argmax(axis=1)
        encoded = encode_masks(masks[torch.arange(len(answer)), torch.from_numpy(answer)].cpu().numpy())
        for index, best in enumerate(answer):
            yield ObjectScore(
                model=name,
                protocol=protocol,
                sample_id=sample.sample_id,
                index=start + index,
                category=sample.categories[start + index],
                group=sample.group,
                pixels=int(truth.pixels[start + index]),
                iou=float(ious[index, best]),
                oracle_iou=float(ious[index].max()),
                dice=float(dices[index, best]),
                predicted_iou=float(predicted_iou[index, best]),
                box_iou=float(truth.box_ious[start + index]),
                mask=encoded[index],
            )
