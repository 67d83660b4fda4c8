"""Stored numbers become 0..255, and label values stay whole numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from adapt.errors import DataError
from adapt.formats import integral, label_values, narrowest, percentile_range, to_uint8
from adapt.formats.intensity import COUNTED


@pytest.mark.parametrize(
    ("value", "pixel"),
    # 255 / 400 = 0.6375 a unit: 100 units above low are 63.75, 300 are 191.25; beyond the ends it is clipped.
    [(-5000, 0), (-160, 0), (-60, 64), (140, 191), (240, 255), (5000, 255)],
)
def test_a_window_is_mapped_linearly_and_clipped(value: int, pixel: int) -> None:
    assert to_uint8(np.array([value], dtype=np.int16), low=-160, high=240)[0] == pixel


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32, np.float64])
def test_every_number_type_is_mapped_alike(kind: type) -> None:
    values = np.array([0, 51, 102, 204], dtype=kind)
    mapped = to_uint8(values, low=0, high=204)
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [0, 64, 128, 255]  # 63.75, 127.5 to even, 255


def test_unsigned_values_below_the_window_do_not_wrap() -> None:
    assert to_uint8(np.array([0, 1, 1000], dtype=np.uint16), low=100, high=900).tolist() == [0, 0, 255]


def test_a_constant_image_is_black() -> None:
    values = np.full((3, 3), 700.0)
    low, high = percentile_range(values, low=0.5, high=99.5)
    assert not to_uint8(values, low=low, high=high).any()


def test_percentiles_of_evenly_spread_values() -> None:
    values = np.random.default_rng(0).permutation(1001)  # 0..1000, so percentile q is 10 q
    assert percentile_range(values, low=0.5, high=99.5) == pytest.approx((5.0, 995.0))


def test_percentiles_of_a_large_volume_come_from_a_grid_over_all_of_it() -> None:
    small = np.random.default_rng(0).normal(size=(40, 50, 60)).astype(np.float32)
    assert percentile_range(small, low=1, high=99) == tuple(np.percentile(small, [1, 99]).tolist())  # all are counted
    large = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 300, 300))
    assert large.size > COUNTED
    low, high = percentile_range(large, low=1, high=99)
    assert (low, high) == pytest.approx(np.percentile(np.arange(256), [1, 99]).tolist(), abs=1)


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 1, 255], dtype=np.uint8),
        np.array([0, 1, 7], dtype=np.uint16),
        np.array([-3, 0, 2], dtype=np.int32),
        np.array([0.0, 1.0, 9.0], dtype=np.float32),
        np.array([-0.0, 1e6], dtype=np.float64),
        np.array([True, False]),
    ],
)
def test_whole_numbers_are_kept(values: npt.NDArray[Any]) -> None:
    whole = integral(values)
    assert whole is not None
    assert whole.dtype == (values.dtype if values.dtype.kind in "iu" else whole.dtype)  # bytes stay bytes
    assert np.issubdtype(whole.dtype, np.integer)
    assert whole.tolist() == values.tolist()


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.0, 0.5]),
        np.array([1.0, 1.0 + 1e-6]),
        np.array([0.0, np.nan]),
        np.array([0.0, np.inf]),
        np.array([0.0, 1e30]),  # whole, but no integer type holds it
        np.array([1 + 0j]),
    ],
)
def test_other_numbers_are_not_rounded(values: npt.NDArray[Any]) -> None:
    assert integral(values) is None


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0, 255, np.uint8), (0, 256, np.int16), (-1, 1, np.int16), (-1024, 3071, np.int16), (0, 65535, np.uint16)],
)
def test_integers_fit_the_smallest_type(low: int, high: int, kind: type) -> None:
    assert narrowest(np.array([low, high])) is kind


def test_whole_floats_become_the_smallest_integers() -> None:
    whole = integral(np.array([[0.0, 117.0], [3.0, 4.0]]))
    assert whole is not None
    assert whole.dtype == np.uint8


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (np.nan, "nan"), (1e30, "1e\\+30")])
def test_label_values_that_no_integer_holds_are_named(value: float, shown: str) -> None:
    with pytest.raises(DataError, match=rf"a\.tif: label values are not whole numbers \(first: {shown}\)"):
        label_values(np.array([[0, value]]), source="a.tif")
