"""Thresholds of generation that suit a model and its data: chosen where objects are known.

Tuning moves what a model expects of its masks and how steep their borders are, so that the published thresholds may
keep nothing, or everything. Candidates are made once with none, and then filtered by each pair of a grid. The figure is
the mean over images of F1 at IoU 0.5: twice the objects that are found, by the masks and objects together. So it falls
with each mask that shows no labelled object.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from adapt.generate.automatic import without_doubles
from adapt.generate.masks import GeneratedMask
from adapt.recipe import GenerateSettings
from adapt.wording import counted

PREDICTED_IOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.95)
STABILITIES = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97)
FOUND = 0.5
"""IoU at which an object is found."""


@dataclass(frozen=True)
class Thresholds:
    """A pair, and how good the masks are that it keeps.

    Attributes:
        predicted_iou, stability: see `GenerateSettings`.
        f1: mean over images, 0 to 1.
        masks: an image, on average.
    """

    predicted_iou: float
    stability: float
    f1: float
    masks: float

    def apply(self, settings: GenerateSettings) -> GenerateSettings:
        """Settings with this pair."""
        return settings.model_copy(update={"predicted_iou": self.predicted_iou, "stability": self.stability})


@dataclass(frozen=True)
class Fitted:
    """What fitting has found for a tuned model.

    Attributes:
        images: that it was fitted on.
        before: the recipe's own pair.
        after: the best one.
        untouched: the best one of the untouched model, so that both can be compared at their best.
    """

    images: int
    before: Thresholds
    after: Thresholds
    untouched: Thresholds

    def __str__(self) -> str:
        """What was found, for people."""
        before, after, untouched = self.before, self.after, self.untouched
        return (
            f"thresholds of automatic masks, fitted on {counted(self.images, 'validation image')}: "
            f"generate.predicted_iou={after.predicted_iou:g} generate.stability={after.stability:g}, F1 {after.f1:.3f} "
            f"with {after.masks:.1f} masks an image (before: {before.predicted_iou:g} and {before.stability:g}, F1 "
            f"{before.f1:.3f} with {before.masks:.1f}); the untouched model suits "
            f"{untouched.predicted_iou:g} and {untouched.stability:g}, F1 {untouched.f1:.3f} with {untouched.masks:.1f}"
        )

    def as_dict(self) -> dict[str, object]:
        """Plain data for a file."""
        return asdict(self)

    def is_of(self, settings: GenerateSettings) -> bool:
        """Whether settings have the pair that was found, so that nobody has set another since."""
        return self.apply(settings) == settings

    def apply(self, settings: GenerateSettings) -> GenerateSettings:
        """Settings with the thresholds that were found for the tuned model."""
        return self.after.apply(settings)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Of an image with known objects: masks before any threshold, and (masks, objects) IoU with each object."""

    masks: Sequence[GeneratedMask]
    ious: npt.NDArray[np.float64]


def unfiltered(settings: GenerateSettings) -> GenerateSettings:
    """Settings that keep every candidate that some pair of the grid keeps."""
    lowest = {
        "predicted_iou": min(settings.predicted_iou, *PREDICTED_IOUS),
        "stability": min(settings.stability, *STABILITIES),
        "nms": 1.0,
        "crop_nms": 1.0,
        "min_region": 0,
        "max_masks": None,
    }
    return settings.model_copy(update=lowest)


def best_thresholds(images: Sequence[Candidates], settings: GenerateSettings) -> tuple[Thresholds, Thresholds]:
    """The recipe's own pair, and that of the grid of the highest F1.

    Of equal ones the strictest is taken, and the recipe's own if none is better.

    Args:
        images: candidates of each, made with `unfiltered` settings.
        settings: of the recipe.
    """
    predicted = sorted({settings.predicted_iou, *PREDICTED_IOUS})
    stabilities = sorted({settings.stability, *STABILITIES})
    tried = [_tried(images, settings, *pair) for pair in product(predicted, stabilities)]
    own = (settings.predicted_iou, settings.stability)
    before = next(one for one in tried if (one.predicted_iou, one.stability) == own)
    best = max(tried, key=lambda one: (one.f1, one.predicted_iou, one.stability))
    return before, best if best.f1 > before.f1 else before


def _tried(
    images: Sequence[Candidates], settings: GenerateSettings, predicted_iou: float, stability: float
) -> Thresholds:
    scores, masks = [], []
    for image in images:
        passed = [
            place
            for place, mask in enumerate(image.masks)
            if mask.predicted_iou > predicted_iou and mask.stability >= stability
        ]
        kept = [passed[place] for place in without_doubles([image.masks[place] for place in passed], settings)]
        found = int((image.ious[kept] >= FOUND).any(axis=0).sum())
        scores.append(2 * found / (len(kept) + image.ious.shape[1]))
        masks.append(len(kept))
    return Thresholds(predicted_iou, stability, f1=float(np.mean(scores)), masks=float(np.mean(masks)))
