"""Matching AP: which predicted objects are the true ones, as StarDist and Cellpose count them.

At a threshold, predicted and true objects of at least this IoU may be matched, each once. TP is the greatest number of
such matches, FP and FN are the objects left over, and the average precision is TP / (TP + FP + FN) (Schmidt et al.,
2018; Stringer et al., 2021). It has nothing to do with the area under a curve that COCO calls by the same name: see
`adapt.metrics.detection`.

Where there is neither a prediction nor an object, there is nothing to score: such an image adds nothing to pooled
counts, its own scores are None, and means leave it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from adapt.metrics.pairs import Overlaps

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Matches:
    """Objects counted at one threshold; images are pooled by adding them up.

    Attributes:
        true_positives: matched objects.
        false_positives: predicted objects that match nothing.
        false_negatives: true objects that nothing matches.
        matched_iou: sum of the IoU over the matches.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    matched_iou: float = 0.0

    def __add__(self, other: "Matches") -> "Matches":
        return Matches(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.matched_iou + other.matched_iou,
        )

    @property
    def average_precision(self) -> float | None:
        """TP / (TP + FP + FN); None if there is no object at all."""
        return _share(self.true_positives, self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP); None if nothing was predicted."""
        return _share(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN); None if there is nothing to find."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def f1(self) -> float | None:
        """TP / (TP + FP / 2 + FN / 2); None if there is no object at all."""
        return _share(self.true_positives, (self.false_positives + self.false_negatives) / 2)


def _share(hits: float, others: float) -> float | None:
    return hits / (hits + others) if hits + others else None


def match(overlaps: Overlaps, threshold: float) -> Matches:
    """The most matches that objects allow, and among those the ones of the greatest sum of IoU.

    Args:
        overlaps: of one image.
        threshold: IoU, above 0, that a match has at least.
    """
    near = overlaps.ious >= threshold
    matched = _assigned(overlaps.pairs[near], overlaps.ious[near])
    return Matches(
        true_positives=len(matched),
        false_positives=overlaps.predicted - len(matched),
        false_negatives=overlaps.truth - len(matched),
        matched_iou=float(matched.sum()),
    )


def paired_ious(overlaps: Overlaps) -> list[float]:
    """The IoU of each pair that is matched, and 0 for each predicted and for each true object that is in none.

    The assignment is that of the largest sum of IoUs, with no threshold; what does not overlap is no pair.
    """
    table = np.zeros((overlaps.predicted, overlaps.truth))
    table[overlaps.pairs[:, 0], overlaps.pairs[:, 1]] = overlaps.ious
    ious = table[linear_sum_assignment(table, maximize=True)]
    matched: list[float] = ious[ious > 0].tolist()
    return matched + [0.0] * (overlaps.predicted + overlaps.truth - 2 * len(matched))


def match_all(overlaps: Overlaps, thresholds: Sequence[float] = THRESHOLDS) -> list[Matches]:
    """`match` at each of some thresholds."""
    return [match(overlaps, threshold) for threshold in thresholds]


def mean_average_precision(matches: Sequence[Matches]) -> float | None:
    """Mean of the average precision over thresholds; None if there is no object at all."""
    scores = [entry.average_precision for entry in matches]
    return None if None in scores else float(np.mean(np.asarray(scores, dtype=float)))


def _assigned(pairs: npt.NDArray[np.int64], ious: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """IoU of each pair that the best assignment takes.

    Pairs that share no object with another one are simply taken: that is nearly all of them above an IoU of 0.5. Only
    what hangs together is assigned, group by group.
    """
    if not len(pairs):
        return ious
    (_, rows), (_, columns) = (np.unique(pairs[:, side], return_inverse=True) for side in (0, 1))
    size = int(rows.max() + columns.max()) + 2
    graph = coo_array((np.ones(len(rows)), (rows, columns + rows.max() + 1)), shape=(size, size))
    groups = connected_components(graph, directed=False)[1][rows]
    alone = np.bincount(groups)[groups] == 1
    taken = [ious[alone]]
    order = np.flatnonzero(~alone)[np.argsort(groups[~alone], kind="stable")]
    for group in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        (ours, row), (theirs, column) = (np.unique(ends[group], return_inverse=True) for ends in (rows, columns))
        table = np.zeros((len(ours), len(theirs)))
        table[row, column] = ious[group]
        worth = (table > 0) + table / (2 * min(table.shape))  # one match more outweighs all of the IoU
        best = table[linear_sum_assignment(worth, maximize=True)]
        taken.append(best[best > 0])
    return np.concatenate(taken)
