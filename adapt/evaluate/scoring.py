"""Score the answers of each model to the prompts of each protocol, at full resolution, object by object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from adapt.formats import encode_masks
from adapt.frames import image_to_model_frame
from adapt.metrics import boundary_score
from adapt.protocols import PROTOCOLS, Truth, answers_of, truth_of
from adapt.samples import Sample, sample_key
from adapt.segmenters import ImageFeatures, PromptableSegmenter

TOLERANCE_PIXELS = 2
"""Of the surface distance, where the recipe names none."""


@dataclass(frozen=True)
class ObjectScore:
    """One object, one protocol, one model.

    Attributes:
        index: of the object in its sample.
        iou, dice: of the answer: the most confident candidate, after the last click.
        curve: IoU after each click; with a single prompt, the IoU alone.
        oracle_iou: of the best candidate.
        predicted_iou: what the model expected of its answer.
        answer_pixels: area of the answer; 0 for an object that was missed.
        nsd, hd95: of the answer's border; see `BoundaryScore`. In `unit`.
        mask: the answer, run-length encoded in the image frame; empty if read back from `objects.csv`, as what follows.
        clicks: x, y in the image frame and label (1 object, 0 background) of all clicks, in their order.
        box: XYXY in the image frame, if the object was prompted by one.
    """

    model: str
    protocol: str
    sample_id: str
    index: int
    category: str
    group: str
    pixels: int
    answer_pixels: int
    iou: float
    curve: tuple[float, ...]
    oracle_iou: float
    dice: float
    predicted_iou: float
    box_iou: float
    nsd: float
    hd95: float
    unit: str
    mask: bytes = b""
    clicks: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Measures:
    """What the protocols leave open; see `EvaluationSettings` of the recipe for the defaults.

    Attributes:
        clicks: of the protocol `clicks`, at most.
        tolerance: of the surface distance, in the unit of the spacing; None for two pixels.
    """

    clicks: int
    tolerance: float | None


@dataclass(frozen=True, eq=False)
class EncodedSample:
    """A sample, what is known of it, and the features of each model by the model's name."""

    sample: Sample
    truth: Truth
    features: Mapping[str, ImageFeatures]


def encode_samples(
    samples: Iterable[Sample], models: Mapping[str, PromptableSegmenter], *, device: torch.device
) -> Iterator[EncodedSample]:
    """Samples with their features, as they come; models with equal encoders share one run of it an image.

    Args:
        samples: in the image frame.
        models: name (base, tuned) to segmenter, on `device`, in eval mode.
        device: where the models are.
    """
    encoders = _shared_encoders(models)
    for sample in samples:
        found = {name: encode_sample(sample, models[name], device) for name in dict.fromkeys(encoders.values())}
        truth = truth_of(sample.masks, sample_key(sample.sample_id), device)
        yield EncodedSample(sample, truth, {name: found[encoders[name]] for name in models})


@torch.inference_mode()
def encode_sample(sample: Sample, model: PromptableSegmenter, device: torch.device) -> ImageFeatures:
    """Features of one image."""
    return model.encode(_image(sample, model).to(device))


def score_samples(
    samples: Iterable[Sample],
    models: Mapping[str, PromptableSegmenter],
    *,
    protocols: Sequence[str],
    measures: Measures,
    device: torch.device,
) -> Iterator[list[ObjectScore]]:
    """Scores of each sample, one list a sample, as they come; see `encode_samples` and `score_encoded`."""
    for encoded in encode_samples(samples, models, device=device):
        yield score_encoded(encoded, models, protocols=protocols, measures=measures)


@torch.inference_mode()
def score_encoded(
    encoded: EncodedSample,
    models: Mapping[str, PromptableSegmenter],
    *,
    protocols: Sequence[str],
    measures: Measures,
) -> list[ObjectScore]:
    """Scores of all objects of a sample.

    Args:
        encoded: see `EncodedSample`.
        models: name to segmenter, those that the sample was encoded for.
        protocols: names of `PROTOCOLS`.
        measures: see `Measures`.
    """
    return [
        score
        for name, model in models.items()
        for protocol in protocols
        for score in _scores(encoded, model, name=name, protocol=protocol, measures=measures)
    ]


def tolerance_of(sample: Sample, chosen: float | None) -> float:
    """Of the surface distance, in the unit of the sample: the chosen one, or else two of its pixels."""
    return TOLERANCE_PIXELS * max(sample.spacing) if chosen is None else chosen


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
    encoded: EncodedSample, model: PromptableSegmenter, *, name: str, protocol: str, measures: Measures
) -> Iterator[ObjectScore]:
    sample, truth = encoded.sample, encoded.truth
    how = PROTOCOLS[protocol]
    scored = partial(boundary_score, spacing=sample.spacing, tolerance=tolerance_of(sample, measures.tolerance))
    for part, found in answers_of(model, encoded.features[name], truth, how=how, clicks=measures.clicks):
        counts = encode_masks(found.masks)
        with ThreadPoolExecutor() as pool:
            borders = list(pool.map(scored, found.masks, sample.masks[part]))
        for place, border in enumerate(borders):
            index = part.start + place
            yield ObjectScore(
                model=name,
                protocol=protocol,
                sample_id=sample.sample_id,
                index=index,
                category=sample.categories[index],
                group=sample.group,
                pixels=int(truth.pixels[index]),
                answer_pixels=int(found.pixels[place]),
                iou=float(found.curves[place, -1]),
                curve=tuple(found.curves[place].tolist()),
                oracle_iou=float(found.oracle_iou[place]),
                dice=float(found.dice[place]),
                predicted_iou=float(found.predicted_iou[place]),
                box_iou=float(truth.box_ious[index]),
                nsd=border.nsd,
                hd95=border.hd95,
                unit=sample.spacing_unit,
                mask=counts[place],
                clicks=found.clicks[place],
                box=found.boxes[place],
            )
