"""From scores of objects to one figure of a domain, with an interval.

A domain's score is the mean over objects of a category within a group, then over the group's categories,
then over groups: a patient with many slices or a frequent organ weighs no more than another. The interval
is a percentile bootstrap over groups (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13),
since objects of one patient are not independent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 95
CHUNK = 1_000_000


@dataclass(frozen=True)
class Interval:
    """Bounds of a 95 % interval; None where it cannot be had, with a single group."""

    low: float | None
    high: float | None


def group_means(
    values: Sequence[float] | npt.NDArray[np.float64], categories: Sequence[str], groups: Sequence[str]
) -> dict[str, float]:
    """Score of each group: mean over its categories of the mean over their objects.

    Args:
        values: score of each object.
        categories: of each object.
        groups: of each object.

    Returns:
        Group to score, sorted by group.
    """
    cells: dict[str, dict[str, list[float]]] = {}
    for value, category, group in zip(values, categories, groups, strict=True):
        cells.setdefault(group, {}).setdefault(category, []).append(float(value))
    return {group: float(np.mean([np.mean(objects) for objects in cells[group].values()])) for group in sorted(cells)}


def mean_over_groups(scores: Mapping[str, float]) -> float:
    """The domain's score from those of its groups."""
    return sum(scores.values()) / len(scores)


def bootstrap_interval(scores: Sequence[float], *, samples: int, seed: int) -> Interval:
    """95 % percentile interval of the mean of group scores, by resampling groups with replacement.

    Args:
        scores: one a group.
        samples: resamples.
        seed: of the draws; equal seeds give equal resamples, so two models are compared on the same ones.
    """
    values = np.asarray(scores, dtype=float)
    if len(values) < 2:
        return Interval(low=None, high=None)
    random = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(values))  # bounds the memory for thousands of groups
    means = np.concatenate(
        [
            values[random.integers(len(values), size=(min(rows, samples - start), len(values)))].mean(axis=1)
            for start in range(0, samples, rows)
        ]
    )
    low, high = np.percentile(means, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))
