"""Masks that a text has found against the truth, beside those of the true boxes: how many, how well, how surely.

The figure to judge a model by is the mIoU, which says what `fit` keeps the weights by: each object counts with the IoU
of the mask that finds it, an object that none finds with 0, and so does a mask that finds none. So a model that draws
masks everywhere gains nothing by it, and no threshold decides what is found. Masks and objects of a category are paired
in an image so that the sum of their IoUs is largest. The mean is taken over a category's objects and the masks that
find none within a group, then over the group's categories, then over groups, as in `adapt.metrics.aggregate`; the
interval is over groups, as there.

The other figures say where it comes from. In these an object is found if a mask of its category has an IoU with it
above 0.5; each mask finds one object. The region of a category is what all of its objects cover, and what all of its
masks do: it can be told where one mask answers for many objects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from pycocotools import mask as coco

from adapt.evaluate.summary import gain
from adapt.metrics import (
    Matches,
    PredictedMasks,
    TrueMasks,
    bootstrap_interval,
    group_means,
    mask_ap,
    mask_overlaps,
    mean_over_groups,
    paired_ious,
    panoptic_matches,
)

Answered = Mapping[tuple[str, str], Sequence[PredictedMasks]]
"""From the name of a model, and of what it was prompted by, to the masks of each image."""


@dataclass(frozen=True)
class TextFigures:
    """Of one model, prompted in one way; each figure but `masks` and `stray` 0 to 1.

    Attributes:
        model: its name.
        prompts: text, or box: those of the truth.
        miou: of objects, in which one that is not found counts 0, and a mask that is no object too.
        low, high: 95 % bootstrap interval of `miou` over groups; None with a single group.
        masks: of an image, on average.
        stray: of them, those of a category that the image does not show.
        found: share of the objects that are found.
        matched_iou: mean IoU of those; None if none is.
        region_iou: mean IoU of regions, over images and categories.
        ap, ap50: COCO's of the masks by their scores, over IoUs from 0.5 to 0.95, and at 0.5.
        groups: mIoU of each group.
    """

    model: str
    prompts: str
    miou: float
    low: float | None
    high: float | None
    masks: float
    stray: float
    found: float
    matched_iou: float | None
    region_iou: float
    ap: float | None
    ap50: float | None
    groups: Mapping[str, float]


@dataclass(frozen=True)
class TextDifference:
    """The last model minus the first, prompted in one way, paired by group.

    Attributes:
        prompts: as in `TextFigures`.
        miou, low, high: of the mIoU, with the 95 % interval; None with a single group.
    """

    prompts: str
    miou: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TextResults:
    """What a model that is asked by text is judged by.

    Attributes:
        figures: of each model and way.
        differences: of each way in which several models were prompted.
        images, objects, groups: how many were evaluated.
    """

    figures: tuple[TextFigures, ...]
    differences: tuple[TextDifference, ...]
    images: int
    objects: int
    groups: int

    def as_dict(self) -> dict[str, object]:
        """Plain data for `results.json`."""
        return {
            "images": self.images,
            "objects": self.objects,
            "groups": self.groups,
            "text": [{**asdict(one), "groups": dict(one.groups)} for one in self.figures],
            "text_difference": [asdict(one) for one in self.differences],
        }


def text_results(
    answered: Answered, truth: Sequence[TrueMasks], groups: Sequence[str], *, bootstrap_samples: int, seed: int
) -> TextResults:
    """Figures of each model and kind of prompt.

    Args:
        answered: of the images of `truth`.
        truth: one image at least, each with one object at least.
        groups: of each image.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
    """
    figures = []
    for (model, prompts), predicted in answered.items():
        matches, regions = Matches(), []
        ious: list[float] = []
        cells: list[tuple[str, str]] = []
        for ours, true, group in zip(predicted, truth, groups, strict=True):
            for category in sorted({*ours.categories, *true.categories}):
                own = [of_category(masks, category) for masks in (ours, true)]
                overlaps = mask_overlaps(*own, height=true.height, width=true.width)
                paired = paired_ious(overlaps)
                ious += paired
                cells += [(category, group)] * len(paired)
                if category in true.categories:
                    matches += panoptic_matches(overlaps)
                    regions.append(_region_iou(*own, size=[true.height, true.width]))
        by_group = group_means(ious, [category for category, _ in cells], [group for _, group in cells])
        interval = bootstrap_interval(list(by_group.values()), samples=bootstrap_samples, seed=seed)
        ap = mask_ap(predicted, truth)
        hits = matches.true_positives
        figures.append(
            TextFigures(
                model=model,
                prompts=prompts,
                miou=mean_over_groups(by_group),
                low=interval.low,
                high=interval.high,
                masks=float(np.mean([len(one.masks) for one in predicted])),
                stray=float(np.mean([_stray(ours, true) for ours, true in zip(predicted, truth, strict=True)])),
                found=matches.recall or 0.0,
                matched_iou=matches.matched_iou / hits if hits else None,
                region_iou=float(np.mean(regions)),
                ap=ap.ap,
                ap50=ap.ap50,
                groups=by_group,
            )
        )
    return TextResults(
        figures=tuple(figures),
        differences=tuple(_differences(figures, samples=bootstrap_samples, seed=seed)),
        images=len(truth),
        objects=sum(len(one.masks) for one in truth),
        groups=len(set(groups)),
    )


def _differences(figures: Sequence[TextFigures], *, samples: int, seed: int) -> list[TextDifference]:
    found = []
    for prompts in dict.fromkeys(one.prompts for one in figures):
        first, *others = (one for one in figures if one.prompts == prompts)
        if others:
            of = gain(first.groups, others[-1].groups, samples=samples, seed=seed)
            found.append(TextDifference(prompts=prompts, miou=of.mean, low=of.low, high=of.high))
    return found


def of_category(masks: PredictedMasks | TrueMasks, category: str) -> list[bytes]:
    """The masks of one category."""
    return [mask for mask, own in zip(masks.masks, masks.categories, strict=True) if own == category]


def _stray(ours: PredictedMasks, true: TrueMasks) -> int:
    """How many masks are of a category that the image does not show."""
    return sum(category not in set(true.categories) for category in ours.categories)


def _region_iou(ours: Sequence[bytes], true: Sequence[bytes], *, size: list[int]) -> float:
    if not ours:
        return 0.0
    regions = [coco.merge([{"size": size, "counts": mask} for mask in masks]) for masks in (ours, true)]
    return float(coco.iou(regions[:1], regions[1:], [0])[0, 0])
