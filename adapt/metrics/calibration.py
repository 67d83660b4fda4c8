"""Whether a model knows how good its masks are: predicted against true IoU.

The expected error is that of expected calibration error (Naeini et al., 2015; Guo et al., 2017), with the predicted
IoU as confidence and the true IoU as accuracy: objects are put into bins of predicted IoU, and the gaps between the
means are averaged, weighted by how many objects a bin has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Objects whose predicted IoU lies in one tenth: how many, mean predicted and mean true IoU."""

    count: int
    predicted: float
    true: float


def reliability(
    predicted: Sequence[float] | npt.NDArray[np.float64], true: Sequence[float] | npt.NDArray[np.float64]
) -> list[Bin]:
    """The bins that have an object, from low to high predicted IoU; what lies outside 0..1 counts as 0 or 1."""
    expected = np.clip(np.asarray(predicted, dtype=float), 0, 1)
    found = np.asarray(true, dtype=float)
    bins = np.minimum((expected * BINS).astype(int), BINS - 1)
    return [
        Bin(int((bins == place).sum()), float(expected[bins == place].mean()), float(found[bins == place].mean()))
        for place in range(BINS)
        if (bins == place).any()
    ]


def expected_error(bins: Sequence[Bin]) -> float:
    """Mean gap between predicted and true IoU, weighted by the objects of each bin.

    Raises:
        ValueError: there is no object.
    """
    total = sum(entry.count for entry in bins)
    if not total:
        raise ValueError("no object to calibrate on")
    return sum(entry.count * abs(entry.predicted - entry.true) for entry in bins) / total
