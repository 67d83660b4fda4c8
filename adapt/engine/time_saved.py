"""How much of people's time a review has saved, by the published seconds a mask (Segment Anything, section 4).

There, a mask took 34 s at the start of the assisted stage and 14 s at its end, and 34 s again for the harder objects
that people added in the semi-automatic stage; 14 s were 6.5 times as fast as COCO's masks. These are figures of its
annotators and images, not of yours: they turn counts of masks into an order of magnitude.
"""

from collections.abc import Mapping

from adapt.engine.provenance import Stage
from adapt.engine.review import Outcome

BY_HAND = 14.0 * 6.5
"""Seconds of a mask drawn from nothing, as COCO's."""
FIRST = 34.0
"""Seconds of a mask that people draw or correct with a model that has not seen the domain."""
LATER = 14.0
"""Likewise, with one that was trained on it."""


def seconds_saved(counts: Mapping[tuple[Stage, Outcome], int], *, first_round: bool) -> float:
    """Seconds that masks would have taken by hand, minus those that they took; a mask people added saves none.

    A mask that was looked at, kept or changed, took the published seconds of the assisted stage. One of the automatic
    stage, or that the semi-automatic stage has kept by itself, took none.

    Args:
        counts: of masks, by stage and by what people made of them.
        first_round: the model had not been trained on the domain yet.
    """
    looked_at = FIRST if first_round else LATER
    taken = {"manual": BY_HAND, "assisted": looked_at, "semi-automatic": 0.0, "automatic": 0.0}
    return sum(
        count * (BY_HAND - (looked_at if outcome is Outcome.CHANGED else taken[stage]))
        for (stage, outcome), count in counts.items()
        if outcome is not Outcome.ADDED
    )
