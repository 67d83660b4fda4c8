"""The quality gate, and how much time was saved."""

import pytest

from adapt.engine import Outcome, judge, seconds_saved
from adapt.errors import DataError
from adapt.metrics import bootstrap_interval

BEFORE = {"p1": 0.5, "p2": 0.7, "p3": 0.6}


def test_a_round_that_does_better_is_accepted_and_one_that_does_worse_refused() -> None:
    better = judge(BEFORE, {"p1": 0.6, "p2": 0.7, "p3": 0.8}, samples=500, seed=1)
    worse = judge({"p1": 0.6, "p2": 0.7, "p3": 0.8}, BEFORE, samples=500, seed=1)
    assert better.accepted and not worse.accepted
    assert better.difference == pytest.approx(0.1)
    assert worse.difference == pytest.approx(-0.1)
    expected = bootstrap_interval([0.6 - 0.5, 0.7 - 0.7, 0.8 - 0.6], samples=500, seed=1)
    assert (better.interval.low, better.interval.high) == (expected.low, expected.high)


def test_groups_are_paired_by_name_not_by_place() -> None:
    verdict = judge(BEFORE, {"p3": 0.6, "p1": 0.5, "p2": 0.7}, samples=100, seed=1)
    assert (verdict.difference, verdict.accepted) == (0, True)
    assert (verdict.interval.low, verdict.interval.high) == (0, 0)


def test_a_round_is_refused_though_it_is_not_proven_worse_and_says_so() -> None:
    verdict = judge(BEFORE, {"p1": 0.3, "p2": 0.8, "p3": 0.6}, samples=500, seed=1)
    assert not verdict.accepted
    assert str(verdict).startswith("refused: -0.033 (-0.")
    assert "more held-out images would tell" in str(verdict)


def test_one_that_is_surely_worse_says_no_more() -> None:
    verdict = judge(BEFORE, {"p1": 0.3, "p2": 0.4, "p3": 0.3}, samples=500, seed=1)
    assert str(verdict).startswith("refused: -0.267 (-0.300 to -0.")
    assert str(verdict).endswith(" on the held-out images")


def test_a_single_group_has_no_interval_but_a_verdict() -> None:
    verdict = judge({"p1": 0.5}, {"p1": 0.6}, samples=100, seed=1)
    assert str(verdict) == "accepted: +0.100 on the held-out images"


def test_other_groups_cannot_be_judged() -> None:
    with pytest.raises(DataError, match="groups p2, p9 were scored once only"):
        judge({"p1": 0.5, "p2": 0.5}, {"p1": 0.5, "p9": 0.5}, samples=100, seed=1)
    with pytest.raises(DataError, match="no group was held out"):
        judge({}, {}, samples=100, seed=1)


def test_time_is_saved_by_the_published_seconds_a_mask() -> None:
    """91 s by hand; 34 s a mask at first, 14 s later, and none for what the model kept by itself."""
    assisted = {("assisted", Outcome.KEPT): 6, ("assisted", Outcome.CHANGED): 4}
    assert seconds_saved(assisted, first_round=True) == 10 * (91 - 34)
    assert seconds_saved(assisted, first_round=False) == 10 * (91 - 14)
    assert seconds_saved({("automatic", Outcome.KEPT): 3}, first_round=False) == 3 * 91
    assert seconds_saved({("automatic", Outcome.CHANGED): 3}, first_round=False) == 3 * (91 - 14)
    assert seconds_saved({("manual", Outcome.ADDED): 5}, first_round=True) == 0
