"""Whether a model answers where it is prompted: long training is known to make models ignore prompts.

Two questions are asked of an image. Different objects: is the answer to the prompt of each of two objects nearer to its
own object than to the other one (following rate), and do the answers overlap more than the objects do (excess overlap)?
Clicks that move: clicks drawn inside one object should give nearly one mask, clicks drawn outside it should not.
Objects may lie inside one another, and a click in the inner one is a click in both; so no model follows every click,
and the figures of the untouched model stand beside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from adapt.metrics import iou

Masks = npt.NDArray[np.bool_]
PROMPTED = ("one_click", "box")
"""The protocols that objects are told apart by."""
TWINS = 0.9
"""Objects of this IoU and more are one place: no prompt tells them apart, so they are no pair."""

LEAST_RATE = 0.75
"""A tuned model with a lower following rate is warned of."""
LOST_RATE = 0.1
"""So is one that lost more of the untouched model's."""
MOST_EXCESS = 0.25
"""And one whose answers overlap more than their objects by more than this."""
LEAST_MOVE = 0.1
"""And one whose answers to clicks outside are nearly as like those to clicks inside as these are to one another."""


@dataclass(frozen=True)
class Pair:
    """Two objects of an image.

    Attributes:
        follows: whether each answer is nearer to its own object than to the other.
        overlap: IoU of the answers.
        truth_overlap: IoU of the objects.
    """

    follows: bool
    overlap: float
    truth_overlap: float


@dataclass(frozen=True)
class MovedClicks:
    """One object, or the mean of several.

    Attributes:
        inside: mean IoU of the answers to clicks inside the object, two by two.
        outside: mean IoU of such an answer and the answer to a click outside.
    """

    inside: float
    outside: float


@dataclass(frozen=True)
class ImageFindings:
    """One model on one image: what each protocol says of each pair, and clicks of each object that has an outside."""

    model: str
    pairs: Mapping[str, Sequence[Pair]]
    clicks: Sequence[MovedClicks]


@dataclass(frozen=True)
class PairFigures:
    """Means over the pairs of an image, then over images.

    Attributes:
        rate: share of the pairs that follow, 0 to 1.
        overlap, truth_overlap: see `Pair`.
    """

    rate: float
    overlap: float
    truth_overlap: float

    @property
    def excess(self) -> float:
        """By how much the answers overlap more than the objects do."""
        return self.overlap - self.truth_overlap


@dataclass(frozen=True)
class ModelFollowing:
    """One model: figures of each protocol of `PROMPTED`, and of clicks that move (None if no object has an outside)."""

    prompts: dict[str, PairFigures]
    clicks: MovedClicks | None


@dataclass(frozen=True)
class Following:
    """The whole check; `tuned` is None for the untouched model alone."""

    images: int
    pairs: int
    base: ModelFollowing
    tuned: ModelFollowing | None

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`; a model that was not checked has no entry."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def pairs_of(truths: Masks, answers: Masks) -> list[Pair]:
    """All pairs of objects that can be told apart.

    Args:
        truths: (N, H, W) bool objects.
        answers: (N, H, W) bool, the answer to the prompt of each.
    """
    found = []
    for one, other in combinations(range(len(truths)), 2):
        truth_overlap = float(iou(truths[one], truths[other]))
        if truth_overlap < TWINS:
            own = [float(iou(answers[index], truths[index])) for index in (one, other)]
            crossed = [float(iou(answers[one], truths[other])), float(iou(answers[other], truths[one]))]
            follows = own[0] > crossed[0] and own[1] > crossed[1]
            found.append(Pair(follows, float(iou(answers[one], answers[other])), truth_overlap))
    return found


def moved_clicks(inside: Masks, outside: Masks) -> list[MovedClicks]:
    """What answers to moved clicks have in common.

    Args:
        inside: (K, N, H, W) bool answers to K clicks inside each of N objects, K at least 2.
        outside: likewise, to clicks outside it.
    """
    alike = np.mean([iou(one, other) for one, other in combinations(inside, 2)], axis=0)
    unlike = iou(inside, outside).mean(axis=0)
    return [MovedClicks(float(same), float(other)) for same, other in zip(alike, unlike, strict=True)]


def summarise_following(findings: Sequence[ImageFindings]) -> Following | None:
    """Figures of each model (base, tuned); None if no image has two objects that can be told apart."""
    checked = [image for image in findings if image.pairs[PROMPTED[0]]]
    of = {name: [image for image in checked if image.model == name] for name in ("base", "tuned")}
    if not of["base"]:
        return None
    return Following(
        images=len(of["base"]),
        pairs=sum(len(image.pairs[PROMPTED[0]]) for image in of["base"]),
        base=_model_figures(of["base"]),
        tuned=_model_figures(of["tuned"]) if of["tuned"] else None,
    )


def _model_figures(images: Sequence[ImageFindings]) -> ModelFollowing:
    def mean(name: str, values: Sequence[Sequence[Pair]] | Sequence[Sequence[MovedClicks]]) -> float:
        return float(np.mean([np.mean([getattr(value, name) for value in of_image]) for of_image in values]))

    clicks = [image.clicks for image in images if image.clicks]
    pairs = {protocol: [image.pairs[protocol] for image in images] for protocol in PROMPTED}
    return ModelFollowing(
        prompts={
            protocol: PairFigures(
                rate=mean("follows", of), overlap=mean("overlap", of), truth_overlap=mean("truth_overlap", of)
            )
            for protocol, of in pairs.items()
        },
        clicks=MovedClicks(inside=mean("inside", clicks), outside=mean("outside", clicks)) if clicks else None,
    )


def following_warnings(following: Following) -> list[str]:
    """What a reader should not overlook: a tuned model that answers elsewhere than it is prompted."""
    if following.tuned is None:
        return []
    found = []
    for protocol, tuned in following.tuned.prompts.items():
        title, base = protocol.replace("_", " "), following.base.prompts[protocol]
        lost = tuned.rate < base.rate - LOST_RATE
        remedy = "train shorter, or at a lower rate" if lost else "it has not learnt to, train longer"
        if tuned.rate < LEAST_RATE or lost:
            found.append(
                f"{title}: of two prompted objects each got its own mask in {100 * tuned.rate:.0f} % of the pairs "
                f"(untouched: {100 * base.rate:.0f} %); the tuned model heeds its prompts too little: {remedy}"
            )
        if tuned.excess > MOST_EXCESS and tuned.excess > base.excess:
            found.append(
                f"{title}: answers to different objects overlap by {tuned.overlap:.2f}, the objects by "
                f"{tuned.truth_overlap:.2f}; the tuned model gives one mask to several prompts"
            )
    clicks = following.tuned.clicks
    if clicks is not None and clicks.inside - clicks.outside < LEAST_MOVE:
        found.append(
            f"clicks outside an object give nearly the mask of clicks inside it (IoU {clicks.outside:.2f}, among those "
            f"inside {clicks.inside:.2f}); the tuned model does not look where it is clicked"
        )
    return found
