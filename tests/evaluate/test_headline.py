"""The answer in plain words says no more than the figures do."""

from collections.abc import Mapping

import pytest

from adapt.evaluate import ObjectScore, Results, Retention, summarise
from adapt.evaluate.headline import forgetting_verdict, sentences, verdict


def _results(gains: Mapping[str, list[float]], *, clicks: bool = False, categories: str = "x") -> Results:
    """One object in each of as many groups as there are gains; untouched has 0.4 everywhere."""
    return summarise(
        [
            ObjectScore(
                model=model,
                protocol="clicks" if clicks else protocol,
                sample_id=f"p{number}",
                index=0,
                category=categories[number % len(categories)],
                group=f"p{number}",
                pixels=10,
                answer_pixels=10,
                iou=0.4 + add,
                curve=(0.1, 0.9) if model == "tuned" else (0.1, 0.2),
                oracle_iou=0.5,
                dice=0.5,
                predicted_iou=0.5,
                box_iou=0.5,
                nsd=0.5,
                hd95=1.0,
                unit="mm",
            )
            for protocol, of in gains.items()
            for number, gain in enumerate(of)
            for model, add in (("base", 0.0), ("tuned", gain))
        ],
        bootstrap_samples=500,
        seed=0,
    )


UP, DOWN, EITHER = [0.1, 0.2, 0.3], [-0.1, -0.2, -0.3], [0.3, -0.3, 0.1]


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ({"box": UP}, "Tuning made the model better."),
        ({"box": UP, "one_click": UP}, "Tuning made the model better."),
        ({"box": DOWN}, "Tuning made the model worse."),
        ({"box": EITHER}, "Whether tuning made the model better cannot be told from this test split."),
        ({"box": UP, "one_click": DOWN}, "The tuned model is better (box), worse (one click)."),
        ({"one_click": UP, "box": EITHER}, "The tuned model is better (one click), not to be told apart (box)."),
        ({"box": [0.2]}, "The tuned model is better here, but one group cannot say how sure that is."),
        ({"box": [-0.2]}, "The tuned model is not better here, but one group cannot say how sure that is."),
    ],
)
def test_the_verdict_follows_the_intervals(gains: Mapping[str, list[float]], expected: str) -> None:
    assert verdict(_results(gains)) == expected


def test_a_sentence_says_from_what_to_what_and_how_sure() -> None:
    assert sentences(_results({"box": [0.2, 0.2]})) == [
        "With a box, an answer overlaps the truth by 0.600 on average (mIoU), untouched by 0.400: 0.200 more, between "
        "+0.200 and +0.200 with 95 % confidence over 2 groups. 2 of 2 groups gained."
    ]


def test_a_sentence_says_for_whom() -> None:
    (sentence,) = sentences(_results({"box": [0.3, -0.1, 0.0, 0.1]}, categories="ab"))
    assert sentence.endswith("2 of 4 groups gained, a most (+0.150), b least (+0.000).")


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ({"box": UP}, "On general images nothing was forgotten: the model is better there as well."),
        ({"box": DOWN, "one_click": DOWN}, "On general images the model forgot some of what it could do."),
        ({"box": EITHER}, "On general images no loss can be told from chance."),
        (
            {"box": DOWN, "one_click": EITHER},
            "On general images the tuned model is worse (box), not to be told apart (one click).",
        ),
        ({"box": [-0.2]}, "One group of general images cannot say whether something was forgotten."),
    ],
)
def test_what_was_forgotten_follows_the_intervals(gains: Mapping[str, list[float]], expected: str) -> None:
    assert forgetting_verdict(Retention("adapt:shapes_folder", _results(gains))) == expected


def test_a_gain_that_may_be_chance_is_called_so() -> None:
    (sentence,) = sentences(_results({"one_click": EITHER}))
    assert "so it may be chance" in sentence
    (sentence,) = sentences(_results({"one_click": UP}))
    assert "chance" not in sentence


def test_a_loss_is_less() -> None:
    assert "0.200 less" in sentences(_results({"one_click": [-0.2, -0.2]}))[0]


def test_clicks_are_told_by_their_number() -> None:
    (sentence,) = sentences(_results({"clicks": [0.1, 0.1]}, clicks=True))
    assert sentence.startswith("After 2 clicks, ")
    assert sentence.endswith("An overlap of 0.85 takes 2.0 clicks, untouched 2.0.")


def test_one_group_has_no_certainty() -> None:
    assert "one group cannot say how sure it is" in sentences(_results({"box": [0.2]}))[0]
