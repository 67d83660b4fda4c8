"""Overlap of label maps, class by class. The pixels of a group are put together before anything is divided.

So a class counts once a group (patient, scene, slide), in however many images it is; a volume is scored in three
dimensions. A class that neither the truth nor the answer of a group has is not scored there.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from adapt.metrics.overlap import dice_of_counts, iou_of_counts

Counts = npt.NDArray[np.int64]
"""(1 + classes, 3) pixels: in both, in the answer, in the truth; the background first."""
Scores = npt.NDArray[np.float64]
"""(1 + classes,), NaN for what is not scored."""


def class_counts(answer: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], *, classes: int) -> Counts:
    """Pixels of two label maps of one shape; values are 0 to `classes`."""
    shared = np.bincount(truth[answer == truth], minlength=classes + 1)
    areas = (np.bincount(labels.ravel(), minlength=classes + 1) for labels in (answer, truth))
    return np.stack((shared, *areas), axis=1)


def put_together(counts: Iterable[tuple[str, Counts]]) -> dict[str, Counts]:
    """Group to the sum of the counts of its images, sorted by group."""
    found: dict[str, Counts] = {}
    for group, of_image in counts:
        found[group] = found[group] + of_image if group in found else of_image
    return dict(sorted(found.items()))


def class_ious(counts: Counts) -> Scores:
    """IoU of the background and each class."""
    return _where_scored(counts, iou_of_counts(counts[:, 0], counts[:, 1], counts[:, 2]))


def class_dices(counts: Counts) -> Scores:
    """Dice of the background and each class."""
    return _where_scored(counts, dice_of_counts(counts[:, 0], counts[:, 1], counts[:, 2]))


def group_scores(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Mean of each group over its classes, without the background; groups without a class have none."""
    return {group: float(np.nanmean(own[1:])) for group, own in scores.items() if not np.isnan(own[1:]).all()}


def _where_scored(counts: Counts, scores: Scores) -> Scores:
    return np.where(counts[:, 1] + counts[:, 2] > 0, scores, np.nan)
