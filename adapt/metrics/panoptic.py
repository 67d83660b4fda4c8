"""Panoptic quality (Kirillov et al., 2019): how well objects are outlined, times how well they are found.

Of the matches of one class over all images: SQ is the mean IoU of the matched objects, RQ their F1, and PQ = SQ * RQ.
Objects match above an IoU of 0.5, which is unambiguous where objects do not overlap. The score of several classes is
the mean over those that occur; there are no void pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adapt.metrics.matching import Matches, match
from adapt.metrics.pairs import Overlaps

ABOVE_HALF = float(np.nextafter(0.5, 1))


@dataclass(frozen=True)
class PanopticQuality:
    """Each 0 to 1.

    Attributes:
        pq: SQ * RQ.
        sq: segmentation quality; 0 if nothing matches.
        rq: recognition quality.
    """

    pq: float
    sq: float
    rq: float


def panoptic_matches(overlaps: Overlaps) -> Matches:
    """The matches of one class in one image that PQ counts; add them up over images."""
    return match(overlaps, ABOVE_HALF)


def panoptic_quality(matches: Matches) -> PanopticQuality | None:
    """Of one class over all images; None if it is neither there nor predicted."""
    if matches.f1 is None:
        return None
    sq = matches.matched_iou / matches.true_positives if matches.true_positives else 0.0
    return PanopticQuality(pq=sq * matches.f1, sq=sq, rq=matches.f1)


def mean_panoptic_quality(classes: Mapping[str, Matches]) -> PanopticQuality | None:
    """Mean of each figure over the classes that occur; None if none does."""
    found = [quality for matches in classes.values() if (quality := panoptic_quality(matches)) is not None]
    if not found:
        return None
    return PanopticQuality(*(float(np.mean([getattr(q, name) for q in found])) for name in ("pq", "sq", "rq")))
