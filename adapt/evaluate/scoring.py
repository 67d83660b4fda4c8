"""Score the answers of each model to the prompts of each protocol, at full resolution, object by object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import torch
from torch import Tensor

from adapt.features import FeatureCache, frozen_part
from adapt.formats import encode_masks
from adapt.metrics import boundary_score
from adapt.protocols import PROTOCOLS, Truth, answers_of, truth_of
from adapt.samples import Sample, sample_key
from adapt.segmenters import EncoderStage, ImageFeatures, PromptableSegmenter

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
    samples: Iterable[Sample],
    models: Mapping[str, PromptableSegmenter],
    *,
    device: torch.device,
    features: FeatureCache | None = None,
) -> Iterator[EncodedSample]:
    """Samples with what is known of them and their features, as they come; see `encode_images`."""
    for sample, found in encode_images(samples, models, device=device, features=features):
        truth = truth_of(sample.masks, sample_key(sample.sample_id), device)
        yield EncodedSample(sample, truth, found)


def encode_images(
    samples: Iterable[Sample],
    models: Mapping[str, PromptableSegmenter],
    *,
    device: torch.device,
    features: FeatureCache | None = None,
) -> Iterator[tuple[Sample, Mapping[str, ImageFeatures]]]:
    """Samples with their features, as they come; what models have in common of their encoders runs once an image.

    Args:
        samples: in the image frame.
        models: name (base, tuned) to segmenter, on `device`, in eval mode.
        device: where the models are.
        features: behind the stages that they have in common; None to keep nothing.
    """
    boundary = shared_stages(list(models.values()))
    twins = _twins(models)
    for sample in samples:
        found = _features(sample, {name: models[name] for name in twins.values()}, boundary, device, features)
        yield sample, {name: found[twins[name]] for name in models}


@torch.inference_mode()
def _features(
    sample: Sample,
    models: Mapping[str, PromptableSegmenter],
    boundary: int,
    device: torch.device,
    features: FeatureCache | None,
) -> dict[str, ImageFeatures]:
    """Features of one image by each model, of which the first `boundary` stages are the same."""
    if not boundary:
        return {name: encode_sample(sample, model, device) for name, model in models.items()}
    first = next(iter(models.values()))
    cached = None if features is None else features.reader.look_up(sample.image)
    known = cached is not None and bool(cached.found.all())
    image = torch.empty(0) if known else _image(sample, first)
    there = None if cached is None else cached.moved(lambda value: value.to(device))
    hidden = frozen_part(first, image.to(device), there, boundary=boundary, cache=features)
    return {name: model.encode_suffix(hidden, boundary=boundary) for name, model in models.items()}


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
    features: FeatureCache | None = None,
) -> Iterator[list[ObjectScore]]:
    """Scores of each sample, one list a sample, as they come; see `encode_samples` and `score_encoded`."""
    for encoded in encode_samples(samples, models, device=device, features=features):
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
    return model.spec.to_model_frame(sample.image)[None]


def shared_stages(models: Sequence[PromptableSegmenter]) -> int:
    """Leading stages of the encoders that are the same in all models; 0 if they do not even read the same image."""
    first = models[0]
    if any(model.spec != first.spec for model in models):
        return 0
    stages = zip(*(model.stages for model in models), strict=False)
    return sum(1 for _ in takewhile(lambda alike: all(_same_stage(alike[0], other) for other in alike[1:]), stages))


def _twins(models: Mapping[str, PromptableSegmenter]) -> dict[str, str]:
    """Model to the first model whose encoder is the same from beginning to end."""
    first: dict[str, str] = {}
    for name, model in models.items():
        same = (other for other in first if shared_stages([models[other], model]) == len(model.stages))
        first[name] = next(same, name)
    return first


def _same_stage(one: EncoderStage, other: EncoderStage) -> bool:
    if one.modules == other.modules:
        return True
    left, right = one.parameters, other.parameters
    return len(left) == len(right) and all(torch.equal(*pair) for pair in zip(left, right, strict=True))


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
