"""What a run with classes is judged by: the figures of its `results.json`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from adapt.evaluate.semantic.scoring import ClassScore
from adapt.metrics import (
    bootstrap_interval,
    class_dices,
    class_ious,
    group_scores,
    mean_over_groups,
    put_together,
)
from adapt.recipe.semantic import BACKGROUND


@dataclass(frozen=True)
class ClassFigures:
    """One class, or a mean over classes.

    Attributes:
        iou, dice: means over groups; None for a class that neither truth nor answers show.
        low, high: 95 % bootstrap interval of `iou` over groups; None with less than two.
        groups: how many it was scored in.
    """

    iou: float | None
    dice: float | None
    low: float | None
    high: float | None
    groups: int


@dataclass(frozen=True)
class SemanticResults:
    """What a run is judged by.

    Attributes:
        mean: over the classes of a group, without the background, then over groups.
        classes: figures of each class, in order.
        background: likewise; in no mean.
        groups: group to its mean IoU.
        images: how many were scored.
    """

    mean: ClassFigures
    classes: dict[str, ClassFigures]
    background: ClassFigures
    groups: dict[str, float]
    images: int

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`."""
        return {"semantic": asdict(self)}


def summarise_classes(
    scores: Sequence[ClassScore], classes: Sequence[str], *, bootstrap_samples: int, seed: int
) -> SemanticResults:
    """Figures of all images; the pixels of a group are put together first.

    Args:
        scores: of every test image.
        classes: their names.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
    """
    together = put_together((score.group, score.counts) for score in scores)
    ious = {group: class_ious(counts) for group, counts in together.items()}
    dices = {group: class_dices(counts) for group, counts in together.items()}

    def figures(iou: dict[str, float], dice: dict[str, float]) -> ClassFigures:
        interval = bootstrap_interval(list(iou.values()), samples=bootstrap_samples, seed=seed)
        return ClassFigures(
            iou=mean_over_groups(iou) if iou else None,
            dice=mean_over_groups(dice) if dice else None,
            low=interval.low,
            high=interval.high,
            groups=len(iou),
        )

    def of_class(value: int) -> ClassFigures:
        scored = [group for group, own in ious.items() if not np.isnan(own[value])]
        return figures(
            {group: float(ious[group][value]) for group in scored},
            {group: float(dices[group][value]) for group in scored},
        )

    groups = group_scores(ious)
    return SemanticResults(
        mean=figures(groups, group_scores(dices)),
        classes={name: of_class(value) for value, name in enumerate(classes, start=1)},
        background=of_class(0),
        groups=groups,
        images=len(scores),
    )


def named_figures(results: SemanticResults) -> dict[str, ClassFigures]:
    """All figures by the name of their row: the mean, each class, the background."""
    return {"mean of classes": results.mean, **results.classes, BACKGROUND: results.background}
