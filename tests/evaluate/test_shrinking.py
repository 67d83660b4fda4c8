"""Small objects that shrink are seen, though a mean over all objects hardly moves."""

import numpy as np
import pytest

from adapt.evaluate import ObjectScore, summarise
from adapt.evaluate.shrinking import Shrinkage, shrinkage
from adapt.evaluate.sizes import size_parts
from adapt.evaluate.tables import warnings

AREAS = [20, 30, 40, 300, 400, 500, 3000, 4000, 5000]


def _scores(model: str, answers: list[int]) -> list[ObjectScore]:
    """Answers of given areas inside their objects, or around them."""
    pairs = enumerate(zip(AREAS, answers, strict=True))
    return [
        ObjectScore(
            model=model,
            protocol="one_click",
            sample_id="s",
            index=index,
            category="cell",
            group="g",
            pixels=area,
            answer_pixels=answer,
            iou=min(area, answer) / max(area, answer),
            curve=(),
            oracle_iou=1.0,
            dice=1.0,
            predicted_iou=0.9,
            box_iou=0.5,
            nsd=1.0,
            hd95=0.0,
            unit="px",
        )
        for index, (area, answer) in pairs
    ]


def _warned(base: list[int], tuned: list[int]) -> list[str]:
    results = summarise([*_scores("base", base), *_scores("tuned", tuned)], bootstrap_samples=100, seed=0)
    return [text for text in warnings(results) if "shrink" in text]


def test_ratios_are_of_areas_in_each_third() -> None:
    answers = [5, 15, 40, 300, 600, 500, 3000, 0, 2499]
    found = shrinkage(AREAS, answers, size_parts(AREAS))
    assert found["small"] == Shrinkage(ratio=0.5, halved=pytest.approx(1 / 3))  # exactly half is not below half
    assert found["medium"] == Shrinkage(ratio=1.0, halved=0.0)
    assert found["large"] == Shrinkage(ratio=pytest.approx(2499 / 5000), halved=pytest.approx(2 / 3))


def test_ratios_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    areas = random.integers(1, 1000, 200)
    answers = random.integers(0, 1500, 200)
    for part in size_parts(areas.tolist()):
        own = (areas >= part.least) & (areas <= part.greatest)
        found = shrinkage(areas.tolist(), answers.tolist(), size_parts(areas.tolist()))[part.name]
        assert found.ratio == np.median(answers[own] / areas[own])
        assert found.halved == np.mean(2 * answers[own] < areas[own])


def test_a_model_that_shrinks_small_objects_is_caught() -> None:
    shrunk = [5, 8, 10, *AREAS[3:]]
    (text,) = _warned(AREAS, shrunk)
    assert text.startswith("one click: 100% of the small objects shrink below half their area (untouched: 0%)")


def test_a_model_that_keeps_sizes_or_shrinks_large_objects_only_is_not() -> None:
    assert _warned(AREAS, AREAS) == []
    assert _warned(AREAS, [*AREAS[:6], 1000, 1000, 1000]) == []


def test_small_objects_that_the_tuned_model_loses_more_of_than_it_found_are_caught() -> None:
    assert _warned([2, 2, 2, *AREAS[3:]], [2, 2, 2, *AREAS[3:]])  # no better than before is no excuse
    assert _warned([2, 2, 2, *AREAS[3:]], AREAS) == []


def test_the_figures_stand_in_the_results() -> None:
    results = summarise(_scores("base", AREAS), bootstrap_samples=100, seed=0)
    content = results.as_dict()["protocols"]
    assert isinstance(content, dict)
    assert content["one_click"]["base"]["shrinkage"]["small"] == {"ratio": 1.0, "halved": 0.0}
