"""The figures of `results.json` by a hand-computed example, and their shape."""

import json
from dataclasses import replace

import pytest

from adapt.evaluate import ObjectScore, Results, summarise

# Patient, organ, sample, index: the four test objects. IoU of the untouched and the tuned model.
OBJECTS = [("a", "liver", "a1", 0), ("a", "liver", "a2", 0), ("a", "kidney", "a2", 1), ("b", "liver", "b1", 0)]
BASE, TUNED = [0.6, 0.8, 0.3, 0.4], [0.8, 0.8, 0.6, 0.5]
# Untouched: patient a (0.7 + 0.3) / 2 = 0.5, patient b 0.4. Tuned: patient a (0.8 + 0.6) / 2 = 0.7, patient b 0.5.


def _scores(model: str, ious: list[float], *, protocol: str = "one_click") -> list[ObjectScore]:
    return [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=sample_id,
            index=index,
            category=category,
            group=group,
            pixels=10,
            answer_pixels=10,
            iou=iou,
            oracle_iou=iou + 0.1,
            dice=iou + 0.05,
            predicted_iou=0.9,
            box_iou=0.7 if category == "liver" else 0.5,
            curve=(),
            nsd=0.5,
            hd95=3.0,
            unit="mm",
            mask=b"",
        )
        for (group, category, sample_id, index), iou in zip(OBJECTS, ious, strict=True)
    ]


def _both() -> Results:
    return summarise([*_scores("base", BASE), *_scores("tuned", TUNED)], bootstrap_samples=1000, seed=0)


def test_each_model_by_hand() -> None:
    figures = _both().protocols["one_click"]
    assert figures.tuned is not None
    assert (figures.base.miou, figures.tuned.miou) == (pytest.approx(0.45), pytest.approx(0.6))
    assert (figures.base.oracle_miou, figures.tuned.oracle_miou) == (pytest.approx(0.55), pytest.approx(0.7))
    assert (figures.base.dice, figures.tuned.dice) == (pytest.approx(0.5), pytest.approx(0.65))


def test_categories_are_averaged_within_a_group_first() -> None:
    """Liver: patient a 0.7, patient b 0.4. The mean over the three livers would be 0.6."""
    figures = _both().protocols["one_click"]
    assert figures.base.categories == pytest.approx({"kidney": 0.3, "liver": 0.55})
    assert figures.tuned is not None
    assert figures.tuned.categories == pytest.approx({"kidney": 0.6, "liver": 0.65})


def test_the_filled_box_is_averaged_like_a_model() -> None:
    assert _both().protocols["one_click"].box_as_mask == pytest.approx((0.6 + 0.7) / 2)


def test_the_difference_is_paired_by_group() -> None:
    """Gains 0.2 and 0.1. Of two groups the bounds are the lower and the higher one; unpaired, 0.0 and 0.3."""
    figures = _both().protocols["one_click"]
    assert figures.tuned is not None and figures.difference is not None
    assert (figures.base.low, figures.base.high) == (pytest.approx(0.4), pytest.approx(0.5))
    assert (figures.tuned.low, figures.tuned.high) == (pytest.approx(0.5), pytest.approx(0.7))
    assert figures.difference.miou == pytest.approx(0.15)
    assert (figures.difference.low, figures.difference.high) == (pytest.approx(0.1), pytest.approx(0.2))


def test_an_even_gain_is_certain_however_much_groups_differ() -> None:
    patients = [f"p{number:02d}" for number in range(12)]
    base = [replace(_scores("base", BASE)[0], group=name, iou=0.05 * n) for n, name in enumerate(patients)]
    tuned = [replace(score, model="tuned", iou=score.iou + 0.125) for score in base]
    figures = summarise([*base, *tuned], bootstrap_samples=1000, seed=0).protocols["one_click"]
    assert figures.difference is not None and figures.base.high is not None and figures.base.low is not None
    assert figures.base.high - figures.base.low > 0.1
    assert (figures.difference.low, figures.difference.high) == (pytest.approx(0.125), pytest.approx(0.125))


def test_the_order_of_objects_does_not_matter() -> None:
    """Scores of the two models may come in any order; the pairs are found by group."""
    mixed = [*_scores("tuned", TUNED)[::-1], *_scores("base", BASE)]
    assert _rounded(summarise(mixed, bootstrap_samples=1000, seed=0)) == _rounded(_both())


def _rounded(results: Results) -> object:
    """Plain data without the last digits, which depend on the order of a sum."""
    return json.loads(json.dumps(results.as_dict()), parse_float=lambda text: round(float(text), 9))


def test_the_figure_lies_in_its_interval() -> None:
    patients = [f"p{number:02d}" for number in range(9)]
    scores = [replace(_scores("base", BASE)[0], group=name, iou=(n / 9) ** 2) for n, name in enumerate(patients)]
    base = summarise(scores, bootstrap_samples=500, seed=3).protocols["one_click"].base
    assert base.low is not None and base.high is not None
    assert base.low < base.miou < base.high


def test_a_single_group_has_figures_but_no_interval() -> None:
    scores = [
        score
        for model, ious in (("base", BASE), ("tuned", TUNED))
        for score in _scores(model, ious)
        if score.group == "a"
    ]
    results = summarise(scores, bootstrap_samples=1000, seed=0)
    figures = results.protocols["one_click"]
    assert results.groups == 1
    assert figures.tuned is not None and figures.difference is not None
    assert figures.difference.miou == pytest.approx(0.2)
    for figure in (figures.base, figures.tuned, figures.difference):
        assert (figure.low, figure.high) == (None, None)


def test_objects_images_and_groups_are_counted_once_whatever_is_done_with_them() -> None:
    scores = [
        score
        for protocol in ("one_click", "box")
        for model, ious in (("base", BASE), ("tuned", TUNED))
        for score in _scores(model, ious, protocol=protocol)
    ]
    results = summarise(scores, bootstrap_samples=10, seed=0)
    assert (results.objects, results.images, results.groups) == (4, 3, 2)
    assert list(results.protocols) == ["one_click", "box"]


def test_protocols_do_not_mix() -> None:
    scores = [*_scores("base", BASE), *_scores("base", TUNED, protocol="box")]
    results = summarise(scores, bootstrap_samples=10, seed=0)
    assert results.protocols["one_click"].base.miou == pytest.approx(0.45)
    assert results.protocols["box"].base.miou == pytest.approx(0.6)


def test_the_shape_of_the_json() -> None:
    """What a script that reads `results.json` relies on; keys may be added, never lost."""
    scores = [
        score
        for protocol in ("one_click", "box")
        for model, ious in (("base", BASE), ("tuned", TUNED))
        for score in _scores(model, ious, protocol=protocol)
    ]
    data = json.loads(json.dumps(summarise(scores, bootstrap_samples=10, seed=0).as_dict()))
    assert data.keys() >= {"protocols", "objects", "groups"}
    assert data["protocols"].keys() == {"one_click", "box"}
    for figures in data["protocols"].values():
        assert figures.keys() >= {"base", "tuned", "difference"}
        for key in ("base", "tuned"):
            assert figures[key].keys() >= {"miou", "oracle_miou", "dice", "low", "high"}
        assert figures["difference"].keys() >= {"miou", "low", "high"}


def test_a_model_that_was_not_evaluated_has_no_entry() -> None:
    data = summarise(_scores("base", BASE), bootstrap_samples=10, seed=0).as_dict()
    (figures,) = json.loads(json.dumps(data))["protocols"].values()
    assert figures.keys() == {"base", "box_as_mask"}


def test_a_missing_interval_is_null_and_not_a_missing_key() -> None:
    scores = [score for score in _scores("base", BASE) if score.group == "a"]
    (figures,) = json.loads(json.dumps(summarise(scores, bootstrap_samples=10, seed=0).as_dict()))["protocols"].values()
    assert figures["base"]["low"] is None
    assert figures["base"]["high"] is None
