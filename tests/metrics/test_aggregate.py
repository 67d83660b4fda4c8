"""The mean over objects, categories and groups by hand; its interval against SciPy and against its promise."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from adapt.metrics import Interval, aggregate, bootstrap_interval, group_means

# One object a row: patient, organ, score. Patient a: liver 0.9 and 0.7, kidney 0.2. Patient b: liver 0.4.
GROUPS = ["a", "b", "a", "a"]
CATEGORIES = ["liver", "liver", "kidney", "liver"]
VALUES = [0.9, 0.4, 0.2, 0.7]


def test_objects_then_categories_then_groups_by_hand() -> None:
    means = group_means(VALUES, CATEGORIES, GROUPS)
    assert means == pytest.approx({"a": (0.8 + 0.2) / 2, "b": 0.4})


def test_the_example_tells_the_three_means_apart() -> None:
    """Else the test above could not tell this mean from the usual ones."""
    domain = np.mean(list(group_means(VALUES, CATEGORIES, GROUPS).values()))
    by_class = np.mean([np.mean([0.9, 0.4, 0.7]), 0.2])
    assert domain == pytest.approx(0.45)
    assert np.mean(VALUES) == pytest.approx(0.55)
    assert by_class == pytest.approx(0.4333, abs=1e-4)


def test_groups_come_sorted_whatever_the_order_of_objects() -> None:
    """The bootstrap draws positions, so two models must list their groups alike."""
    means = group_means(VALUES[::-1], CATEGORIES[::-1], GROUPS[::-1])
    assert list(means) == ["a", "b"]
    assert means == pytest.approx(group_means(VALUES, CATEGORIES, GROUPS))


def test_a_patient_with_many_slices_weighs_no_more() -> None:
    def domain(slices: int) -> float:
        means = group_means([0.9] * slices + [0.1], ["liver"] * (slices + 1), ["a"] * slices + ["b"])
        return float(np.mean(list(means.values())))

    assert domain(1) == pytest.approx(0.5)
    assert domain(500) == pytest.approx(0.5)


def test_a_frequent_category_weighs_no_more() -> None:
    means = group_means([1.0] * 99 + [0.0], ["vessel"] * 99 + ["tumour"], ["a"] * 100)
    assert means == pytest.approx({"a": 0.5})


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        group_means([0.5, 0.6], ["liver", "liver"], ["a"])


def _scores(kind: str) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(7)
    return {
        "two": np.array([0.3, 0.8]),
        "few": random.beta(5, 2, size=6),
        "skewed": random.beta(0.5, 4, size=25),
        "many": random.normal(0.7, 0.1, size=200),
        "signed": random.normal(0.02, 0.05, size=16),  # as gains are
    }[kind]


@pytest.mark.parametrize("kind", ["two", "few", "skewed", "many", "signed"])
def test_the_interval_is_scipys_percentile_bootstrap(kind: str) -> None:
    """Other draws of the same distribution: the bounds differ by the noise of 20 000 resamples only."""
    scores = _scores(kind)
    ours = bootstrap_interval(scores.tolist(), samples=20_000, seed=1)
    theirs = stats.bootstrap(
        (scores,),
        np.mean,
        n_resamples=20_000,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    spread = scores.std() / np.sqrt(len(scores))
    assert ours.low == pytest.approx(theirs.low, abs=0.08 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.08 * spread)


def test_the_interval_is_exact_where_it_can_be_enumerated() -> None:
    """Of two groups the mean is 0, 1/2 or 1 with odds 1:2:1, so 2.5 % and 97.5 % lie at the ends."""
    assert bootstrap_interval([0.0, 1.0], samples=4000, seed=0) == Interval(low=0.0, high=1.0)


def test_the_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(11)
    truth = 4 / (4 + 2)

    def covered(seed: int) -> bool:
        interval = bootstrap_interval(random.beta(4, 2, size=30).tolist(), samples=600, seed=seed)
        assert interval.low is not None and interval.high is not None
        return interval.low <= truth <= interval.high

    share = np.mean([covered(seed) for seed in range(400)])
    # A percentile interval of 30 values is a little too short: about 93 %. The bounds leave 4 standard errors.
    assert 0.88 <= share <= 0.985


def test_more_groups_give_a_shorter_interval() -> None:
    random = np.random.default_rng(3)

    def width(groups: int) -> float:
        interval = bootstrap_interval(random.normal(0.7, 0.1, size=groups).tolist(), samples=2000, seed=0)
        assert interval.low is not None and interval.high is not None
        return interval.high - interval.low

    assert width(400) == pytest.approx(width(25) / 4, rel=0.35)  # one over the square root


@pytest.mark.parametrize("scores", [[], [0.7]])
def test_fewer_than_two_groups_have_no_interval(scores: list[float]) -> None:
    assert bootstrap_interval(scores, samples=1000, seed=0) == Interval(low=None, high=None)


def test_equal_groups_have_an_interval_without_width() -> None:
    interval = bootstrap_interval([0.25] * 5, samples=100, seed=0)
    assert (interval.low, interval.high) == (0.25, 0.25)


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    scores = _scores("skewed").tolist()
    first = bootstrap_interval(scores, samples=500, seed=4)
    assert bootstrap_interval(scores, samples=500, seed=4) == first
    assert bootstrap_interval(scores, samples=500, seed=5) != first


def test_two_models_are_resampled_alike() -> None:
    """A constant gain moves both bounds by it: which groups are drawn depends on seed and number only."""
    scores = _scores("few")
    first, second = (bootstrap_interval((scores + gain).tolist(), samples=500, seed=0) for gain in (0.0, 0.125))
    assert first.low is not None and first.high is not None
    assert (second.low, second.high) == (pytest.approx(first.low + 0.125), pytest.approx(first.high + 0.125))


@pytest.mark.parametrize("chunk", [1, 6 * 7, 6 * 250])
def test_drawing_in_chunks_gives_the_same_interval(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """One row, 7 rows and 250 rows at a time; 1000 is no multiple of 7, so the last chunk is short."""
    scores = _scores("few").tolist()
    whole = bootstrap_interval(scores, samples=1000, seed=0)
    monkeypatch.setattr(aggregate, "CHUNK", chunk)
    assert bootstrap_interval(scores, samples=1000, seed=0) == whole


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    bootstrap_interval([0.1, 0.9, 0.4], samples=50, seed=0)
    assert np.random.random() == expected
