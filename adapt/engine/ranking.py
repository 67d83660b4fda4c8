"""Which unlabelled images are worth a human look: those that the model is least sure of.

Four signals, each 0 (sure) to 1, from the masks that a model has generated: what it expects of them (predicted IoU),
how much they hang on the threshold (stability), how far the candidates of one prompt differ, and how far the masks of
an augmented view differ from those of the image. They have different scales, so an image's place is the mean of its
places by each signal (Borda count; of equal values, the mean place).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from adapt.metrics import Overlaps, match


@dataclass(frozen=True)
class Signals:
    """Of one image, each 0 (sure) to 1; None if it was not measured.

    Attributes:
        unsure: see `unsure`.
        unstable: see `unstable`.
        candidates: see `candidate_disagreement`.
        views: see `view_disagreement`.
    """

    unsure: float | None = None
    unstable: float | None = None
    candidates: float | None = None
    views: float | None = None


def unsure(predicted_ious: Sequence[float]) -> float:
    """1 minus the mean predicted IoU; an image in which nothing was found is one that nothing is known of: 1."""
    return _doubt(predicted_ious)


def unstable(stabilities: Sequence[float]) -> float:
    """1 minus the mean stability; 1 where nothing was found."""
    return _doubt(stabilities)


def _doubt(values: Sequence[float]) -> float:
    return 1 - float(np.clip(values, 0, 1).mean()) if len(values) else 1.0


def candidate_disagreement(ious: Sequence[npt.NDArray[np.float64]]) -> float:
    """1 minus the mean IoU between the candidates of a prompt, mean over prompts; 1 without a prompt.

    Args:
        ious: of each prompt, (M, M) IoU of each candidate with each other one.
    """
    means = [table[~np.eye(len(table), dtype=bool)].mean() for table in ious if len(table) > 1]
    return 1 - float(np.mean(means)) if means else 1.0


def view_disagreement(views: Sequence[Overlaps]) -> float:
    """1 minus the F1 of matching an augmented view's masks with the image's at an IoU of 0.5, mean over views.

    Where nothing was found in either, they agree.

    Args:
        views: overlaps of each view's masks, put back into the image's frame, with those of the image.
    """
    scores = [match(overlaps, 0.5).f1 for overlaps in views]
    return 1 - float(np.mean([1.0 if score is None else score for score in scores])) if scores else 0.0


def rank_images(images: Mapping[str, Signals]) -> list[str]:
    """Names of images, the one most worth a look first; of equal ones in the order of their names.

    Args:
        images: name to signals; the same signals are measured of all.

    Raises:
        ValueError: a signal was measured of some images alone.
    """
    names = sorted(images)
    places = np.zeros(len(names))
    for name in (field.name for field in fields(Signals)):
        values = [getattr(images[image], name) for image in names]
        missing = sum(value is None for value in values)
        if 0 < missing < len(values):
            raise ValueError(f"{name} was measured of {len(values) - missing} of {len(values)} images")
        if not missing:
            places += rankdata(-np.asarray(values, dtype=float))
    return [names[place] for place in np.argsort(places, kind="stable")]
