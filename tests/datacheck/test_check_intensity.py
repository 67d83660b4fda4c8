"""Images without contrast, clipped ones, and groups unlike the others."""

from collections.abc import Callable

import numpy as np
import pytest

from adapt.datacheck.intensity import ENOUGH_GROUPS, OUTLIER_Z, flat_images, robust_z, unlike_the_others
from adapt.datacheck.walk import SampleSummary

Samples = Callable[..., SampleSummary]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"std": 0.0, "mean": 7.0}, "constant_images"),
        ({"std": 0.0, "mean": 255.0, "white": 1.0, "clipped": 1.0}, "constant_images"),
        ({"white": 0.6, "clipped": 0.6}, "clipped_images"),
        ({"clipped": 0.99}, "clipped_images"),
    ],
)
def test_images_without_a_picture_are_found(summary: Samples, changes: dict[str, float], code: str) -> None:
    [found] = flat_images([summary("a"), summary("b", **changes)])
    assert (found.code, found.severity, found.where) == (code, "warning", ("b",))


def test_a_dark_field_is_no_fault(summary: Samples) -> None:
    assert flat_images([summary("a", clipped=0.97), summary("b", white=0.4, clipped=0.4)]) == []


def _groups(summary: Samples, count: int, **last: object) -> list[SampleSummary]:
    usual = [summary(f"g{n}", mean=100.0 + n % 5, std=30.0 + n % 3) for n in range(count - 1)]
    return [*usual, summary("odd", **last)]


@pytest.mark.parametrize("changes", [{"mean": 180.0}, {"std": 70.0}])
def test_a_group_of_other_brightness_or_contrast_is_found(summary: Samples, changes: dict[str, float]) -> None:
    [found] = unlike_the_others(_groups(summary, 20, **changes))
    assert (found.code, found.severity, found.where) == ("intensity_outliers", "warning", ("odd",))
    assert "1 of 20 groups (5.0 %)" in found.text


def test_what_nobody_sees_is_no_outlier(summary: Samples) -> None:
    samples = [summary(f"g{n}") for n in range(20)]
    assert unlike_the_others([*samples, summary("odd", mean=110.0)]) == []


def test_a_group_counts_by_the_average_of_its_images(summary: Samples) -> None:
    """One bright slice of many makes no odd patient."""
    scan = [summary(f"odd/{n}", group="odd", mean=200.0 if n == 0 else 100.0) for n in range(30)]
    assert unlike_the_others([*_groups(summary, 20, mean=100.0)[:-1], *scan]) == []


def test_few_groups_have_no_outlier(summary: Samples) -> None:
    assert unlike_the_others(_groups(summary, ENOUGH_GROUPS - 1, mean=250.0)) == []


def test_the_robust_z_of_normal_data_is_its_z() -> None:
    values = np.random.default_rng(0).normal(50, 20, (20_000, 2))
    expected = (values - values.mean(0)) / values.std(0)
    np.testing.assert_allclose(robust_z(values), expected, atol=0.1)
    assert (np.abs(robust_z(values)) < OUTLIER_Z).all()
