"""Scores of objects, summed up into the figures of `results.json`. Its shape only grows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from adapt.evaluate.scoring import ObjectScore
from adapt.metrics import Interval, bootstrap_interval, group_means


@dataclass(frozen=True)
class ModelFigures:
    """One model under one protocol: objects averaged, then categories, then groups.

    Attributes:
        miou, dice: of the most confident candidate.
        oracle_miou: of the best candidate.
        low, high: 95 % bootstrap interval of `miou` over groups; None with a single group.
        categories: mIoU of each category, averaged over objects, then groups.
    """

    miou: float
    oracle_miou: float
    dice: float
    low: float | None
    high: float | None
    categories: dict[str, float]


@dataclass(frozen=True)
class Difference:
    """Tuned minus untouched, paired by group, with the 95 % interval of the difference."""

    miou: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ProtocolFigures:
    """One protocol: the untouched model, and the tuned one if there is one.

    Attributes:
        box_as_mask: mIoU of the truth's tight box, filled; what a box is worth without any model.
    """

    base: ModelFigures
    tuned: ModelFigures | None
    difference: Difference | None
    box_as_mask: float


@dataclass(frozen=True)
class Results:
    """What a run is judged by."""

    protocols: dict[str, ProtocolFigures]
    objects: int
    groups: int
    images: int

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`; a model that was not evaluated has no entry."""
        protocols = {
            name: {key: value for key, value in asdict(figures).items() if value is not None}
            for name, figures in self.protocols.items()
        }
        return {"protocols": protocols, "objects": self.objects, "groups": self.groups, "images": self.images}


def summarise(scores: Sequence[ObjectScore], *, bootstrap_samples: int, seed: int) -> Results:
    """Figures of all protocols and models in `scores`; models are named base and tuned.

    Args:
        scores: of every test object.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
    """
    protocols: dict[str, ProtocolFigures] = {}
    for protocol in dict.fromkeys(score.protocol for score in scores):
        of = {
            model: [score for score in scores if score.protocol == protocol and score.model == model]
            for model in ("base", "tuned")
        }
        base_groups, base = _figures(of["base"], bootstrap_samples, seed)
        tuned = difference = None
        if of["tuned"]:
            tuned_groups, tuned = _figures(of["tuned"], bootstrap_samples, seed)
            gains = [tuned_groups[group] - base_groups[group] for group in base_groups]
            interval = bootstrap_interval(gains, samples=bootstrap_samples, seed=seed)
            difference = Difference(miou=_mean(gains), low=interval.low, high=interval.high)
        box = _mean(list(_by_group(of["base"], [score.box_iou for score in of["base"]]).values()))
        protocols[protocol] = ProtocolFigures(base=base, tuned=tuned, difference=difference, box_as_mask=box)
    return Results(
        protocols=protocols,
        objects=len({(score.sample_id, score.index) for score in scores}),
        groups=len({score.group for score in scores}),
        images=len({score.sample_id for score in scores}),
    )


def _figures(scores: list[ObjectScore], samples: int, seed: int) -> tuple[dict[str, float], ModelFigures]:
    groups = _by_group(scores, [score.iou for score in scores])
    interval: Interval = bootstrap_interval(list(groups.values()), samples=samples, seed=seed)
    categories: dict[str, float] = {}
    for category in sorted({score.category for score in scores}):
        own = [score for score in scores if score.category == category]
        categories[category] = _mean(list(_by_group(own, [score.iou for score in own]).values()))
    return groups, ModelFigures(
        miou=_mean(list(groups.values())),
        oracle_miou=_mean(list(_by_group(scores, [score.oracle_iou for score in scores]).values())),
        dice=_mean(list(_by_group(scores, [score.dice for score in scores]).values())),
        low=interval.low,
        high=interval.high,
        categories=categories,
    )


def _by_group(scores: list[ObjectScore], values: list[float]) -> dict[str, float]:
    return group_means(values, [score.category for score in scores], [score.group for score in scores])


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
