"""What a model that needs no detector finds for a phrase."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class TextMask:
    """An object, or a region, that a phrase names.

    Attributes:
        phrase: as it was given.
        score: 0 to 1.
        mask: (H, W) bool, image frame.
    """

    phrase: str
    score: float
    mask: npt.NDArray[np.bool_]
