"""Every figure beside mIoU by a hand-computed example; objects, then categories, then groups."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapt.evaluate import ObjectScore, summarise
from adapt.evaluate.results import ModelFigures

# Group, category, sample, index: patient a has two livers and a kidney, patient b a liver.
OBJECTS = [("a", "liver", "a1", 0), ("a", "liver", "a2", 0), ("a", "kidney", "a2", 1), ("b", "liver", "b1", 0)]
# The mean of v1..v4: patient a ((v1 + v2) / 2 + v3) / 2, patient b v4, and of both.


def _score(place: int, *, model: str = "base", protocol: str = "one_click") -> ObjectScore:
    group, category, sample_id, index = OBJECTS[place]
    return ObjectScore(
        model=model,
        protocol=protocol,
        sample_id=sample_id,
        index=index,
        category=category,
        group=group,
        pixels=10 * (place + 1),
        answer_pixels=10,
        iou=0.5,
        curve=(0.5,),
        oracle_iou=0.5,
        dice=0.5,
        predicted_iou=0.5,
        box_iou=0.5,
        nsd=0.5,
        hd95=1.0,
        unit="mm",
    )


def _scores(
    name: str, values: Sequence[object], *, model: str = "base", protocol: str = "one_click"
) -> list[ObjectScore]:
    """Scores whose field `name` has four values."""
    return [
        replace(_score(place, model=model, protocol=protocol), **{name: value})  # type: ignore[arg-type]
        for place, value in enumerate(values)
    ]


def _base(scores: Sequence[ObjectScore]) -> ModelFigures:
    (figures,) = summarise(scores, bootstrap_samples=100, seed=0).protocols.values()
    return figures.base


@pytest.mark.parametrize("name", ["nsd", "hd95", "dice"])
def test_borders_and_dice_are_averaged_like_miou(name: str) -> None:
    """Patient a: ((0.2 + 0.4) / 2 + 0.9) / 2 = 0.6; patient b 0.1. A mean over objects would be 0.4."""
    assert getattr(_base(_scores(name, [0.2, 0.4, 0.9, 0.1])), name) == pytest.approx(0.35)


def test_distances_of_different_units_have_no_mean() -> None:
    one = _base(_scores("unit", ["mm"] * 4))
    assert (one.hd95, one.unit) == (1.0, "mm")
    two = _base(_scores("unit", ["um", "um", "um", "px"]))
    assert (two.hd95, two.unit) == (None, None)
    assert two.nsd == 0.5  # a share has no unit


def test_objects_whose_answer_is_empty_are_counted() -> None:
    assert _base(_scores("answer_pixels", [0, 3, 0, 1])).missed == 2


def test_each_group_has_its_miou() -> None:
    assert _base(_scores("iou", [0.2, 0.4, 0.9, 0.1])).groups == pytest.approx({"a": 0.6, "b": 0.1})


def test_objects_are_parted_by_the_area_of_their_truth() -> None:
    """Areas 10, 20, 30, 40: of four objects the last part has two. Large: patient a 0.9, patient b 0.1."""
    scores = _scores("iou", [0.2, 0.4, 0.9, 0.1])
    results = summarise(scores, bootstrap_samples=100, seed=0)
    assert [(part.name, part.least, part.greatest, part.objects) for part in results.sizes] == [
        ("small", 10, 10, 1), ("medium", 20, 20, 1), ("large", 30, 40, 2),
    ]  # fmt: skip
    assert results.protocols["one_click"].base.sizes == pytest.approx({"small": 0.2, "medium": 0.4, "large": 0.5})


def test_two_objects_have_no_sizes() -> None:
    results = summarise(_scores("iou", [0.2, 0.4]), bootstrap_samples=100, seed=0)
    assert results.sizes == ()
    assert results.protocols["one_click"].base.sizes == {}


def test_calibration_counts_each_object_alike() -> None:
    """True 0.5; predicted 0.55 three times and 0.95: (3 * 0.05 + 0.45) / 4 = 0.15."""
    found = _base(_scores("predicted_iou", [0.55, 0.55, 0.55, 0.95])).calibration
    assert found.error == pytest.approx(0.15)
    assert [(entry.count, entry.predicted, entry.true) for entry in found.bins] == [
        (3, pytest.approx(0.55), pytest.approx(0.5)), (1, pytest.approx(0.95), pytest.approx(0.5)),
    ]  # fmt: skip


CURVES = [(0.9, 0.95, 0.95), (0.2, 0.86, 0.95), (0.1, 0.2, 0.3), (0.5, 0.9, 0.7)]
# Clicks to 0.85: 1, 2, 3 (never), 2. To 0.9: 1, 3, 3 (never), 2; once reached counts, though the IoU falls again.


def test_clicks_to_quality_are_averaged_like_miou() -> None:
    """85: patient a ((1 + 2) / 2 + 3) / 2 = 2.25, patient b 2. 90: patient a ((1 + 3) / 2 + 3) / 2 = 2.5, b 2."""
    found = _base(_scores("curve", CURVES, protocol="clicks")).clicks
    assert found is not None
    assert (found.noc85, found.noc90) == (pytest.approx(2.125), pytest.approx(2.25))
    assert (found.never85, found.never90) == (0.25, 0.25)  # the third of four objects
    assert found.curve == pytest.approx(
        [((0.55 + 0.1) / 2 + 0.5) / 2, ((0.905 + 0.2) / 2 + 0.9) / 2, ((0.95 + 0.3) / 2 + 0.7) / 2]
    )


@pytest.mark.parametrize("protocol", ["one_click", "box", "jittered_box"])
def test_a_single_prompt_has_no_clicks_to_quality(protocol: str) -> None:
    assert _base(_scores("curve", [(0.5,)] * 4, protocol=protocol)).clicks is None


@pytest.mark.parametrize("name", ["dice", "nsd"])
def test_dice_and_borders_are_paired(name: str) -> None:
    """Gains: patient a ((0.1 + 0.3) / 2 + 0) / 2 = 0.1, patient b 0.4; of two groups the bounds are the groups."""
    scores = [*_scores(name, [0.2] * 4), *_scores(name, [0.3, 0.5, 0.2, 0.6], model="tuned")]
    (figures,) = summarise(scores, bootstrap_samples=1000, seed=0).protocols.values()
    assert figures.difference is not None
    found = getattr(figures.difference, name)
    assert (found.mean, found.low, found.high) == (pytest.approx(0.25), pytest.approx(0.1), pytest.approx(0.4))
    assert figures.difference.miou == 0


def test_clicks_that_tuning_saves_are_paired() -> None:
    """To 0.85, untouched 2.25 and 2; tuned 1 everywhere: gains of -1.25 and -1."""
    tuned = _scores("curve", [(0.85, 0.8, 0.8)] * 4, protocol="clicks", model="tuned")
    scores = [*_scores("curve", CURVES, protocol="clicks"), *tuned]
    (figures,) = summarise(scores, bootstrap_samples=1000, seed=0).protocols.values()
    assert figures.difference is not None
    found = figures.difference.noc85
    assert found is not None
    assert (found.mean, found.low, found.high) == (pytest.approx(-1.125), pytest.approx(-1.25), pytest.approx(-1.0))
    assert figures.difference.noc90 is not None
    assert figures.difference.noc90.mean == pytest.approx(3 - 2.25)  # never: the cap of three


def test_a_class_of_one_group_alone_is_averaged_where_it_is() -> None:
    assert _base(_scores("iou", [0.2, 0.4, 0.9, 0.1])).categories == pytest.approx({"kidney": 0.9, "liver": 0.2})
