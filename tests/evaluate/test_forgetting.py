"""What was forgotten, as a row a protocol and as one line."""

import pytest

from adapt.evaluate import (
    FORGETTING_HEADER,
    ObjectScore,
    Results,
    Retention,
    forgetting_rows,
    forgetting_text,
    summarise,
)

IOUS = {"base": (0.6, 0.3), "tuned": (0.5, 0.1)}


def _results(*models: str) -> Results:
    scores = [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=group,
            index=0,
            category="disc",
            group=group,
            pixels=25,
            answer_pixels=25,
            iou=iou,
            curve=(iou,),
            oracle_iou=iou,
            dice=iou,
            predicted_iou=0.9,
            box_iou=0.785,
            nsd=0.5,
            hd95=3.0,
            unit="px",
        )
        for model in models
        for protocol in ("one_click", "box")
        for group, iou in zip("ab", IOUS[model], strict=True)
    ]
    return summarise(scores, bootstrap_samples=200, seed=0)


def test_a_row_shows_both_models_and_what_was_lost() -> None:
    rows = forgetting_rows(Retention("adapt:shapes_folder", _results("base", "tuned")))
    assert rows == [
        [title, "0.450", "0.300", "-0.150", "-0.200 to -0.100"] for title in ("one click", "box")
    ]  # of two groups the bounds are the groups themselves
    assert all(len(row) == len(FORGETTING_HEADER) for row in rows)


def test_the_line_says_the_same() -> None:
    text = forgetting_text(Retention("adapt:shapes_folder", _results("base", "tuned")))
    figures = "0.450 untouched, 0.300 tuned, -0.150 (-0.200 to -0.100)"
    assert text == f"adapt:shapes_folder, 2 images: one click {figures}; box {figures}"


def test_nothing_is_forgotten_without_a_tuned_model() -> None:
    assert forgetting_rows(Retention("x", _results("base"))) == []


def test_the_results_name_the_images_and_hold_the_figures() -> None:
    content = Retention("adapt:shapes_folder", _results("base", "tuned")).as_dict()
    assert content["data"] == "adapt:shapes_folder"
    assert content["images"] == 2
    protocols = content["protocols"]
    assert isinstance(protocols, dict)
    assert protocols["box"]["difference"]["miou"] == pytest.approx(-0.15)
