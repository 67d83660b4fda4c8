"""From scores of objects to the figures of a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from adapt.evaluate.results import (
    Calibration,
    ClickFigures,
    Difference,
    Gain,
    ModelFigures,
    ProtocolFigures,
    Results,
    StructureFigures,
    VolumeFigures,
)
from adapt.evaluate.scoring import ObjectScore
from adapt.evaluate.shrinking import shrinkage
from adapt.evaluate.sizes import SizePart, size_parts
from adapt.evaluate.volumes import VolumeScore
from adapt.metrics import (
    bootstrap_interval,
    clicks_to_reach,
    expected_error,
    group_means,
    mean_over_groups,
    reliability,
)

CORRECTED = "clicks"
"""The protocol whose answers are corrected, so that they have a curve."""
GOOD, FINE = 0.85, 0.9
"""IoUs of NoC@85 and NoC@90."""
IOU, DICE, NSD = attrgetter("iou"), attrgetter("dice"), attrgetter("nsd")
Scored = TypeVar("Scored", ObjectScore, VolumeScore)


def summarise(
    scores: Sequence[ObjectScore], *, volumes: Sequence[VolumeScore] = (), bootstrap_samples: int, seed: int
) -> Results:
    """Figures of all protocols and models in `scores`; models are named base and tuned.

    Args:
        scores: of every test object.
        volumes: of every category of every test volume; none where samples are no slices.
        bootstrap_samples: resamples of the groups.
        seed: of the resampling.
    """
    areas = {(score.sample_id, score.index): score.pixels for score in scores}
    sizes = size_parts(list(areas.values()))
    protocols: dict[str, ProtocolFigures] = {}
    for protocol in dict.fromkeys(score.protocol for score in scores):
        of = {model: [s for s in scores if (s.protocol, s.model) == (protocol, model)] for model in ("base", "tuned")}
        whole = {model: [v for v in volumes if (v.protocol, v.model) == (protocol, model)] for model in of}
        figures = {
            model: model_figures(of[model], whole[model], sizes, samples=bootstrap_samples, seed=seed)
            for model in of
            if of[model]
        }
        protocols[protocol] = ProtocolFigures(
            base=figures["base"],
            tuned=figures.get("tuned"),
            difference=None
            if "tuned" not in figures
            else difference(
                of["base"], of["tuned"], (whole["base"], whole["tuned"]), samples=bootstrap_samples, seed=seed
            ),
            box_as_mask=mean_over_groups(by_group(of["base"], attrgetter("box_iou"))),
        )
    return Results(
        protocols=protocols,
        objects=len(areas),
        groups=len({score.group for score in scores}),
        images=len({score.sample_id for score in scores}),
        sizes=sizes,
    )


def model_figures(
    scores: Sequence[ObjectScore],
    volumes: Sequence[VolumeScore],
    sizes: Sequence[SizePart],
    *,
    samples: int,
    seed: int,
) -> ModelFigures:
    """Figures of one model under one protocol; see `summarise`."""
    groups = by_group(scores, IOU)
    interval = bootstrap_interval(list(groups.values()), samples=samples, seed=seed)
    units = {score.unit for score in scores}
    bins = reliability([score.predicted_iou for score in scores], [score.iou for score in scores])
    parts = {part.name: [s for s in scores if part.least <= s.pixels <= part.greatest] for part in sizes}
    return ModelFigures(
        miou=mean_over_groups(groups),
        oracle_miou=mean_over_groups(by_group(scores, attrgetter("oracle_iou"))),
        dice=mean_over_groups(by_group(scores, DICE)),
        low=interval.low,
        high=interval.high,
        categories={name: mean_over_groups(by_group(own, IOU)) for name, own in _by_category(scores).items()},
        nsd=mean_over_groups(by_group(scores, NSD)),
        hd95=mean_over_groups(by_group(scores, attrgetter("hd95"))) if len(units) == 1 else None,
        unit=units.pop() if len(units) == 1 else None,
        missed=sum(score.answer_pixels == 0 for score in scores),
        groups=groups,
        sizes={name: mean_over_groups(by_group(own, IOU)) for name, own in parts.items() if own},
        shrinkage=shrinkage([s.pixels for s in scores], [s.answer_pixels for s in scores], sizes),
        calibration=Calibration(error=expected_error(bins), bins=tuple(bins)),
        clicks=_click_figures(scores) if is_corrected(scores) else None,
        volumes=_volume_figures(volumes) if volumes else None,
    )


def mious(scores: Sequence[ObjectScore]) -> dict[str, float]:
    """The mIoU of one model under each of its protocols."""
    protocols = dict.fromkeys(score.protocol for score in scores)
    return {name: mean_over_groups(by_group([s for s in scores if s.protocol == name], IOU)) for name in protocols}


def difference(
    base: Sequence[ObjectScore],
    tuned: Sequence[ObjectScore],
    volumes: tuple[Sequence[VolumeScore], Sequence[VolumeScore]] = ((), ()),
    *,
    samples: int,
    seed: int,
) -> Difference:
    """Tuned minus base, or any model minus another one, under one protocol.

    Args:
        base: scores of all objects.
        tuned: of the same objects.
        volumes: of the two models; none where samples are no slices.
        samples: resamples of the groups.
        seed: of the resampling.
    """

    def paired(one: Sequence[Scored], other: Sequence[Scored], value: Callable[[Scored], float]) -> Gain:
        return gain(by_group(one, value), by_group(other, value), samples=samples, seed=seed)

    miou = paired(base, tuned, IOU)
    corrected = is_corrected(base)
    return Difference(
        miou=miou.mean,
        low=miou.low,
        high=miou.high,
        dice=paired(base, tuned, DICE),
        nsd=paired(base, tuned, NSD),
        noc85=paired(base, tuned, clicks_to(GOOD)) if corrected else None,
        noc90=paired(base, tuned, clicks_to(FINE)) if corrected else None,
        volume_dice=paired(*volumes, DICE) if volumes[0] else None,
    )


def gain(base: Mapping[str, float], other: Mapping[str, float], *, samples: int, seed: int) -> Gain:
    """Other minus base, by groups that both have.

    Args:
        base: group to its score.
        other: likewise, of the same groups.
        samples: resamples of the groups.
        seed: of the resampling.
    """
    gains = [other[group] - base[group] for group in base]
    interval = bootstrap_interval(gains, samples=samples, seed=seed)
    return Gain(mean=sum(gains) / len(gains), low=interval.low, high=interval.high)


def by_group(scores: Iterable[Scored], value: Callable[[Scored], float]) -> dict[str, float]:
    """Mean of each group, over its categories, of the mean over their objects."""
    rows = [(value(score), score.category, score.group) for score in scores]
    return group_means([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


def is_corrected(scores: Sequence[ObjectScore]) -> bool:
    """Whether the answers to a protocol were corrected, so that their curves say something."""
    return scores[0].protocol == CORRECTED


def clicks_to(wanted: float) -> Callable[[ObjectScore], float]:
    """What tells the clicks of an object until its IoU is `wanted`."""
    return lambda score: clicks_to_reach(score.curve, wanted)


def _iou_after(turn: int) -> Callable[[ObjectScore], float]:
    return lambda score: score.curve[turn]


def _click_figures(scores: Sequence[ObjectScore]) -> ClickFigures:
    best = [max(score.curve) for score in scores]
    return ClickFigures(
        curve=tuple(mean_over_groups(by_group(scores, _iou_after(turn))) for turn in range(len(scores[0].curve))),
        noc85=mean_over_groups(by_group(scores, clicks_to(GOOD))),
        noc90=mean_over_groups(by_group(scores, clicks_to(FINE))),
        never85=sum(iou < GOOD for iou in best) / len(best),
        never90=sum(iou < FINE for iou in best) / len(best),
    )


def _volume_figures(scores: Sequence[VolumeScore]) -> VolumeFigures:
    tolerances, units = [score.tolerance for score in scores], {score.unit for score in scores}
    return VolumeFigures(
        dice=mean_over_groups(by_group(scores, DICE)),
        nsd=mean_over_groups(by_group(scores, NSD)),
        tolerance=(min(tolerances), max(tolerances)),
        unit=units.pop() if len(units) == 1 else None,
        categories={
            name: StructureFigures(dice=mean_over_groups(by_group(own, DICE)), nsd=mean_over_groups(by_group(own, NSD)))
            for name, own in _by_category(scores).items()
        },
        volumes=len({score.volume for score in scores}),
    )


def _by_category(scores: Iterable[Scored]) -> dict[str, list[Scored]]:
    found: dict[str, list[Scored]] = {}
    for score in sorted(scores, key=lambda score: score.category):
        found.setdefault(score.category, []).append(score)
    return found
