"""Volumes from their slices: the answers of all slices put together, scored in three dimensions.

Of a volume and a category, the union of the answers to the objects of each slice is compared with the union of these
objects. Slices in which nothing was prompted are empty in both. So a slice that a model would wrongly fill is not
counted: it was never asked there. This says how good the slices fit together, not how good a segmentation from a few
prompts would be.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from adapt.evaluate.scoring import ObjectScore, tolerance_of
from adapt.formats import decode_masks, encode_masks
from adapt.metrics import boundary_score, dice
from adapt.samples import Sample

PROMPTED_ONCE = ("one_click", "box")
"""The protocols for which volumes are scored; a volume whose every slice is clicked twenty times is not of use."""
Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class VolumeScore:
    """One category of one volume, one protocol, one model.

    Attributes:
        dice, nsd: in three dimensions.
        tolerance: of the NSD, in `unit`.
        unit: of the volume's spacing.
    """

    model: str
    protocol: str
    volume: str
    category: str
    group: str
    dice: float
    nsd: float
    tolerance: float
    unit: str


@dataclass(frozen=True, eq=False)
class _Slice:
    """What is kept of a slice until its volume is complete: unions, run-length encoded.

    Attributes:
        index: in the volume.
        truths: category to the union of its objects.
        answers: (model, protocol, category) to the union of the answers.
    """

    index: int
    truths: dict[str, bytes]
    answers: dict[tuple[str, str, str], bytes]


def volume_scores(
    samples: Iterable[Sample], scores: Sequence[ObjectScore], *, tolerance: float | None
) -> Iterator[VolumeScore]:
    """Scores of each category of each volume; nothing for samples that are no slices, or have no distance in space.

    No more is held than the encoded slices of a volume, and of one category the truth and an answer.

    Args:
        samples: those that were scored; the slices of a volume follow one another.
        scores: of all their objects.
        tolerance: of the surface distance; see `Measures`.
    """
    of_sample: dict[str, list[ObjectScore]] = defaultdict(list)
    for score in scores:
        if score.protocol in PROMPTED_ONCE:
            of_sample[score.sample_id].append(score)
    for volume, slices in groupby(samples, key=_volume_of):
        if volume is not None:
            yield from _scores(volume, slices, of_sample, tolerance)


def _volume_of(sample: Sample) -> str | None:
    """Name of the volume that a sample is a slice of; frames of a time series make up none."""
    return None if sample.slice_of is None or sample.slice_of[2] is None else sample.slice_of[0]


def _scores(
    volume: str, samples: Iterable[Sample], of_sample: dict[str, list[ObjectScore]], tolerance: float | None
) -> Iterator[VolumeScore]:
    slices = []
    for sample in samples:
        assert sample.slice_of is not None  # `groupby` has left no other
        slices.append(_encoded(sample, of_sample[sample.sample_id]))
        last = sample
    assert last.slice_of is not None and last.slice_of[2] is not None
    size = last.masks.shape[1:]
    spacing, allowed = (last.slice_of[2], *last.spacing), tolerance_of(last, tolerance)
    for category in sorted({name for part in slices for name in part.truths}):
        labelled = {part.index: part.truths[category] for part in slices if category in part.truths}
        truth = _stacked(labelled, size, slices)
        keys = dict.fromkeys(key for part in slices for key in part.answers if key[2] == category)
        for model, protocol, _ in keys:
            own = (model, protocol, category)
            answer = _stacked({part.index: part.answers[own] for part in slices if own in part.answers}, size, slices)
            border = boundary_score(answer, truth, spacing=spacing, tolerance=allowed)
            yield VolumeScore(
                model=model,
                protocol=protocol,
                volume=volume,
                category=category,
                group=last.group,
                dice=float(dice(answer.reshape(1, -1), truth.reshape(1, -1))),
                nsd=border.nsd,
                tolerance=allowed,
                unit=last.spacing_unit,
            )


def _encoded(sample: Sample, scores: Sequence[ObjectScore]) -> _Slice:
    height, width = sample.masks.shape[1:]
    truths = {
        category: _union(sample.masks[[name == category for name in sample.categories]])
        for category in dict.fromkeys(sample.categories)
    }
    answers: dict[tuple[str, str, str], list[bytes]] = defaultdict(list)
    for score in scores:
        answers[score.model, score.protocol, score.category].append(score.mask)
    assert sample.slice_of is not None
    return _Slice(
        index=sample.slice_of[1],
        truths=truths,
        answers={key: _union(decode_masks(masks, height=height, width=width)) for key, masks in answers.items()},
    )


def _union(masks: Masks) -> bytes:
    joined: Masks = np.logical_or.reduce(masks)
    return encode_masks(joined[None])[0]


def _stacked(encoded: dict[int, bytes], size: tuple[int, ...], slices: Sequence[_Slice]) -> Masks:
    """(Z, H, W) from the first to the last slice of a volume; what has no mask is empty."""
    first, last = slices[0].index, slices[-1].index
    stack = np.zeros((last - first + 1, *size), dtype=bool)
    for index, counts in encoded.items():
        stack[index - first] = decode_masks([counts], height=size[0], width=size[1])[0]
    return stack
