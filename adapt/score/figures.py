"""From scenes to the figures that are compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapt.metrics import (
    COCO_SIZES,
    THRESHOLDS,
    Interval,
    MaskAp,
    Matches,
    PanopticQuality,
    average_recall,
    bootstrap_interval,
    group_means,
    mask_ap,
    match_all,
    mean_average_precision,
    mean_over_groups,
    mean_panoptic_quality,
    panoptic_matches,
    panoptic_quality,
)
from adapt.score.scenes import Scene


@dataclass(frozen=True)
class ImageFigures:
    """One image; matching AP, and Dice where classes are regions, by class, if there is anything of it to score."""

    name: str
    group: str
    ap: Mapping[str, float]
    dice: Mapping[str, float]


@dataclass(frozen=True)
class ClassFigures:
    """One class, or all of them.

    Attributes:
        images: that have the class, or a prediction of it.
        ap: matching AP, the mean over thresholds, images, classes and groups; None if there is nothing to score.
        interval: of `ap`, 95 % over groups.
        pooled: matches of all images at each threshold; of all classes their sum.
        panoptic: quality; None if objects cover one another, or there are none.
        dice: where classes are regions; mean as of `ap`.
        dice_interval: of `dice`.
    """

    images: int
    ap: float | None
    interval: Interval
    pooled: Sequence[Matches]
    panoptic: PanopticQuality | None
    dice: float | None
    dice_interval: Interval


@dataclass(frozen=True)
class Figures:
    """All there is to say of a set of predictions.

    Attributes:
        whole: over all classes.
        classes: each class by its name.
        images: in their order.
        groups: how many.
        coco: AP of scored masks; None where predictions have no score.
        recall: AR of proposals by their number and by size; None likewise.
        disjoint: no object covers another one, so that panoptic quality is defined.
    """

    whole: ClassFigures
    classes: Mapping[str, ClassFigures]
    images: Sequence[ImageFigures]
    groups: int
    coco: MaskAp | None
    recall: Mapping[int, Mapping[str, float | None]] | None
    disjoint: bool


def summarise(
    scenes: Iterable[Scene],
    *,
    bootstrap_samples: int,
    seed: int,
    sizes: Mapping[str, tuple[float, float]] = COCO_SIZES,
) -> Figures:
    """Figures of all scenes, which are looked at one after another.

    Args:
        scenes: of each image.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
        sizes: least and greatest area of each size of COCO's figures, pixels.
    """
    images: list[ImageFigures] = []
    pooled: dict[str, list[Matches]] = {}
    panoptic: dict[str, Matches] = {}
    scored = []
    disjoint = True
    for scene in scenes:
        found = {name: match_all(overlaps) for name, overlaps in scene.overlaps.items()}
        aps = {name: ap for name, matches in found.items() if (ap := mean_average_precision(matches)) is not None}
        images.append(ImageFigures(scene.name, scene.group, aps, scene.dice or {}))
        for name, matches in found.items():
            before = pooled.get(name, [Matches()] * len(THRESHOLDS))
            pooled[name] = [one + other for one, other in zip(before, matches, strict=True)]
            panoptic[name] = panoptic.get(name, Matches()) + panoptic_matches(scene.overlaps[name])
        disjoint &= scene.disjoint
        scored.append(scene.masks)
    masks = [entry for entry in scored if entry is not None]
    complete = bool(masks) and len(masks) == len(scored)
    names = sorted(pooled, key=lambda name: (name.isdecimal(), int(name) if name.isdecimal() else 0, name))

    return Figures(
        whole=_class_figures(
            images,
            names,
            [sum((pooled[name][place] for name in names), Matches()) for place in range(len(THRESHOLDS))],
            mean_panoptic_quality(panoptic) if disjoint else None,
            samples=bootstrap_samples,
            seed=seed,
        ),
        classes={
            name: _class_figures(
                images,
                [name],
                pooled[name],
                panoptic_quality(panoptic[name]) if disjoint else None,
                samples=bootstrap_samples,
                seed=seed,
            )
            for name in names
        },
        images=images,
        groups=len({image.group for image in images}),
        coco=mask_ap(*zip(*masks, strict=True), sizes=sizes) if complete else None,
        recall=average_recall(*zip(*masks, strict=True), sizes=sizes) if complete else None,
        disjoint=disjoint,
    )


def _class_figures(
    images: Sequence[ImageFigures],
    names: Sequence[str],
    pooled: Sequence[Matches],
    panoptic: PanopticQuality | None,
    *,
    samples: int,
    seed: int,
) -> ClassFigures:
    """Figures of one class, or of several together."""
    aps = [(image.group, name, image.ap[name]) for image in images for name in names if name in image.ap]
    dices = [(image.group, name, image.dice[name]) for image in images for name in names if name in image.dice]
    ap, interval = _mean(aps, samples, seed)
    dice, dice_interval = _mean(dices, samples, seed)
    return ClassFigures(
        images=sum(any(name in image.ap for name in names) for image in images),
        ap=ap,
        interval=interval,
        pooled=pooled,
        panoptic=panoptic,
        dice=dice,
        dice_interval=dice_interval,
    )


def _mean(rows: Sequence[tuple[str, str, float]], samples: int, seed: int) -> tuple[float | None, Interval]:
    """The mean over images, classes and groups of (group, class, value), and its interval."""
    if not rows:
        return None, Interval(None, None)
    groups, classes, values = zip(*rows, strict=True)
    means = group_means(values, classes, groups)
    return mean_over_groups(means), bootstrap_interval(list(means.values()), samples=samples, seed=seed)
