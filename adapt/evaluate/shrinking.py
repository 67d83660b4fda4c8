"""Whether objects shrink: area of the answer against area of the object, for small, medium and large ones apart.

A mean over all objects hides it: a small object that loses most of its pixels costs little in pixels, and an IoU does
not say whether an answer was too small or beside its object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapt.evaluate.sizes import SizePart

HALF = 0.5
MOST_HALVED = 0.25
"""A tuned model that shrinks a larger share of the small objects below half their area is warned of."""
MORE_HALVED = 0.1
"""So is one that shrinks a share that is larger than the untouched model's by more than this."""


@dataclass(frozen=True)
class Shrinkage:
    """Of some objects.

    Attributes:
        ratio: median of area of the answer / area of the object.
        halved: share of the objects whose answer has less than half their area; those that were missed are among them.
    """

    ratio: float
    halved: float


def shrinkage(objects: Sequence[int], answers: Sequence[int], parts: Sequence[SizePart]) -> dict[str, Shrinkage]:
    """Shrinkage of each part that has an object.

    Args:
        objects: areas, pixels.
        answers: area of the answer to each.
        parts: see `size_parts`.
    """
    areas = np.asarray(objects, dtype=float)
    ratios = np.asarray(answers, dtype=float) / areas
    found = {}
    for part in parts:
        own = ratios[(areas >= part.least) & (areas <= part.greatest)]
        if own.size:
            found[part.name] = Shrinkage(ratio=float(np.median(own)), halved=float(np.mean(own < HALF)))
    return found


def shrinks(base: Shrinkage, tuned: Shrinkage) -> bool:
    """Whether the tuned model should be warned of."""
    return tuned.halved > base.halved + MORE_HALVED or tuned.halved > MOST_HALVED
