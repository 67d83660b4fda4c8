"""Automatic masks against the truth: how many there are, and which objects they find; untouched and tuned.

Tuning on prompts changes what a model answers to a grid of clicks, and how sure of it it is: masks may all fall below
the thresholds of generation without anybody noticing. An object is found by its best mask, at an IoU; of an image only
the 1,000 most confident masks count. Figures of objects are averaged as all others are; see `results`. The matching AP
counts masks without an object as well; it is that of the label map, in which a pixel has one owner, as instances are
compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from adapt.evaluate.results import Automatic, AutomaticFigures, Gain
from adapt.evaluate.summary import gain
from adapt.formats import encode_masks
from adapt.metrics import (
    THRESHOLDS,
    Interval,
    bootstrap_interval,
    group_means,
    mask_overlaps,
    match_all,
    mean_average_precision,
    mean_over_groups,
)
from adapt.recipe import FIT_THRESHOLDS
from adapt.samples import Sample

MOST = 1_000
"""Masks of an image that count, the most confident ones, as in the published AR@1000 of proposals."""
FEWER = 0.5
"""A tuned model that makes less than this share of the untouched model's masks is warned of."""
LESS = 0.02
"""So is one that finds so many fewer objects, or covers them by so much less."""


@dataclass(frozen=True)
class AutomaticScore:
    """One model on one image.

    Attributes:
        masks: how many there are.
        ious: of each object of the truth, IoU of the best mask; 0 without masks.
        matching_ap: of the masks as instances; None if there is neither a mask nor an object.
        best_predicted_iou, best_stability: of all candidates, filtered out or not; the latter -inf if none was asked.
    """

    model: str
    sample_id: str
    group: str
    categories: tuple[str, ...]
    masks: int
    ious: tuple[float, ...]
    matching_ap: float | None
    best_predicted_iou: float
    best_stability: float


def mask_ious(truth: npt.NDArray[np.bool_], counts: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """(M, N) IoU of M masks and N objects.

    Args:
        truth: (N, H, W) bool.
        counts: run lengths of the masks, (H, W) too.
    """
    if not counts:
        return np.zeros((0, len(truth)))
    size = list(truth.shape[1:])
    masks, objects = ([{"size": size, "counts": entry} for entry in own] for own in (counts, encode_masks(truth)))
    overlaps: npt.NDArray[np.float64] = coco.iou(masks, objects, [0] * len(objects))
    return overlaps


def score_automatic(
    model: str,
    sample: Sample,
    counts: Sequence[bytes],
    *,
    instances: Sequence[bytes],
    best_predicted_iou: float,
    best_stability: float,
) -> AutomaticScore:
    """Score the masks of an image.

    Args:
        model: its name.
        sample: with the truth.
        counts: run lengths of the masks, best first.
        instances: run lengths of what each of them owns of the label map.
        best_predicted_iou: see `AutomaticScore`.
        best_stability: likewise.
    """
    height, width = sample.masks.shape[1:]
    overlaps = mask_overlaps(instances, encode_masks(sample.masks), height=height, width=width)
    return AutomaticScore(
        model=model,
        sample_id=sample.sample_id,
        group=sample.group,
        categories=sample.categories,
        masks=len(counts),
        ious=tuple(mask_ious(sample.masks, counts[:MOST]).max(axis=0, initial=0).tolist()),
        matching_ap=mean_average_precision(match_all(overlaps)),
        best_predicted_iou=best_predicted_iou,
        best_stability=best_stability,
    )


def summarise_automatic(
    scores: Sequence[AutomaticScore],
    *,
    thresholds: Mapping[str, tuple[float, float]],
    bootstrap_samples: int,
    seed: int,
) -> Automatic | None:
    """Figures of the models in `scores`, named base and tuned; None without scores.

    Args:
        scores: of every image that was looked at, by each model.
        thresholds: of generation by each model: predicted IoU and stability.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
    """
    of = {name: [score for score in scores if score.model == name] for name in ("base", "tuned")}
    if not of["base"]:
        return None

    def figures(name: str) -> AutomaticFigures:
        return figures_of(of[name], thresholds=thresholds[name], samples=bootstrap_samples, seed=seed)

    def compared(figure: Callable[[Sequence[AutomaticScore]], dict[str, float]]) -> Gain | None:
        base, tuned = figure(of["base"]), figure(of["tuned"])
        return gain(base, tuned, samples=bootstrap_samples, seed=seed) if base and tuned else None

    def paired(value: Callable[[float], float]) -> Gain | None:
        return compared(lambda own: by_group(own, value))

    return Automatic(
        images=len(of["base"]),
        objects=sum(len(score.ious) for score in of["base"]),
        base=figures("base"),
        tuned=figures("tuned") if of["tuned"] else None,
        found50=paired(_found_at(0.5)),
        best_iou=paired(float),
        average_recall=paired(average_recall),
        matching_ap=compared(matching_ap_by_group),
    )


def _found_at(least: float) -> Callable[[float], float]:
    return lambda iou: float(iou >= least)


def figures_of(
    scores: Sequence[AutomaticScore], *, thresholds: tuple[float, float], samples: int, seed: int
) -> AutomaticFigures:
    """Figures of one model, which generates with these thresholds, with intervals of so many resamples."""

    def interval(groups: dict[str, float]) -> Interval:
        return bootstrap_interval(list(groups.values()), samples=samples, seed=seed)

    recalls, aps = by_group(scores, average_recall), matching_ap_by_group(scores)
    best_stability = max(score.best_stability for score in scores)
    return AutomaticFigures(
        masks=float(np.mean([score.masks for score in scores])),
        empty=sum(score.masks == 0 for score in scores),
        found50=mean_over_groups(by_group(scores, _found_at(0.5))),
        found75=mean_over_groups(by_group(scores, _found_at(0.75))),
        best_iou=mean_over_groups(by_group(scores, float)),
        average_recall=mean_over_groups(recalls),
        average_recall_interval=interval(recalls),
        matching_ap=mean_over_groups(aps) if aps else None,
        matching_ap_interval=interval(aps),
        best_predicted_iou=max(score.best_predicted_iou for score in scores),
        best_stability=best_stability if np.isfinite(best_stability) else None,
        predicted_iou=thresholds[0],
        stability=thresholds[1],
    )


def average_recall(iou: float) -> float:
    """Share of the IoUs from 0.5 to 0.95 at which an object of this one is found."""
    return sum(iou >= least for least in THRESHOLDS) / len(THRESHOLDS)


def matching_ap_by_group(scores: Sequence[AutomaticScore]) -> dict[str, float]:
    """Mean of each group over its images; of no group whose images have nothing to score."""
    rows = [(score.matching_ap, "", score.group) for score in scores if score.matching_ap is not None]
    return group_means([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def by_group(scores: Sequence[AutomaticScore], value: Callable[[float], float]) -> dict[str, float]:
    """Mean of each group, over its categories, of the mean over their objects, of a value of their best IoU."""
    rows = [
        (value(iou), category, score.group)
        for score in scores
        for iou, category in zip(score.ious, score.categories, strict=True)
    ]
    return group_means([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


INTERVAL = "95 % interval"
AUTOMATIC_HEADER = ["model", "masks", "empty", "found@50", "found@75", "best IoU", "AR", INTERVAL, "AP", INTERVAL]


def automatic_rows(automatic: Automatic, names: dict[str, str]) -> list[list[str]]:
    """Cells of the table, one row a model, see `AUTOMATIC_HEADER`; the difference comes last.

    Args:
        automatic: the figures.
        names: of `base` and `tuned`, as they are shown.
    """
    rows = [
        [
            names[key],
            f"{own.masks:.1f}",
            f"{own.empty} of {automatic.images}",
            *(f"{value:.3f}" for value in (own.found50, own.found75, own.best_iou, own.average_recall)),
            _span(own.average_recall_interval),
            "none" if own.matching_ap is None else f"{own.matching_ap:.3f}",
            _span(own.matching_ap_interval),
        ]
        for key, own in automatic.models.items()
    ]
    if automatic.tuned is not None:
        found50, best, recall, ap = (
            ("", "") if gain is None else (f"{gain.mean:+.3f}", _span(gain, sign="+"))
            for gain in (automatic.found50, automatic.best_iou, automatic.average_recall, automatic.matching_ap)
        )
        rows.append(["difference", "", "", found50[0], "", best[0], *recall, *ap])
    return rows


def kept_text(automatic: Automatic) -> str:
    """By which thresholds masks were kept, of each model its own where they differ."""
    pairs = {
        key: f"predicted IoU above {own.predicted_iou:g}, stability at least {own.stability:g}"
        for key, own in automatic.models.items()
    }
    if len(set(pairs.values())) == 1:
        return f"kept: {pairs['base']}"
    return f"kept, by what suits each model on validation images: untouched, {pairs['base']}; tuned, {pairs['tuned']}"


def fitting_cells(cells: Sequence[str], width: int) -> list[str]:
    """Of the header or a row of the table, what a terminal of this many columns has room for."""
    left_out = [name for name, needed in ((INTERVAL, 125), ("found@75", 90)) if width < needed]
    return [cell for cell, name in zip(cells, AUTOMATIC_HEADER, strict=True) if name not in left_out]


def _span(found: Interval | Gain, *, sign: str = "") -> str:
    if found.low is None or found.high is None:
        return "none"
    return f"{found.low:{sign}.3f} to {found.high:{sign}.3f}"


def automatic_warnings(automatic: Automatic) -> list[str]:
    """What a reader should not overlook: automatic masks that are gone, fewer, or worse."""
    base, tuned = automatic.base, automatic.tuned
    last = tuned or base
    found = []
    if last.empty and (tuned is None or tuned.empty >= base.empty or 2 * tuned.empty >= automatic.images):
        before = "" if tuned is None else f" (untouched: {base.empty})"
        model = "untouched" if tuned is None else "tuned"
        found.append(
            f"automatic masks: the {model} model makes none in {last.empty} of {automatic.images} images{before}; "
            f"{what_to_lower(last)}"
        )
    if tuned is None:
        return found
    if tuned.masks < FEWER * base.masks:
        found.append(
            f"automatic masks: {tuned.masks:.1f} an image after tuning, {base.masks:.1f} before; its scores may have "
            f"shifted: {FIT_THRESHOLDS}"
        )
    worse = [
        f"{name} {after:.3f}, untouched {before:.3f}"
        for name, before, after in (
            ("objects found at IoU 0.5:", base.found50, tuned.found50),
            ("IoU of the best mask", base.best_iou, tuned.best_iou),
        )
        if after < before - LESS
    ]
    if worse:
        found.append(
            f"automatic masks are worse after tuning ({'; '.join(worse)}); train with clicks as well as boxes "
            f"(prompts.box_chance below 1), or {FIT_THRESHOLDS}"
        )
    return found


def what_to_lower(own: AutomaticFigures) -> str:
    """Which threshold keeps masks from being made, and how far candidates are from it."""
    if own.best_predicted_iou <= own.predicted_iou:
        return (
            f"the best predicted IoU is {own.best_predicted_iou:.2f}, lower generate.predicted_iou "
            f"({own.predicted_iou:g}), or {FIT_THRESHOLDS}"
        )
    if own.best_stability is not None and own.best_stability < own.stability:
        return (
            f"the best stability is {own.best_stability:.2f}, lower generate.stability ({own.stability:g}), or "
            f"{FIT_THRESHOLDS}"
        )
    return f"{FIT_THRESHOLDS}, or lower them"
