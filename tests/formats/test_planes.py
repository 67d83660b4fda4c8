"""Axes, planes, channels and units mean the same in every microscopy format."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.errors import DataError
from adapt.formats.planes import (
    PlaneStack,
    array_reader,
    channel_indices,
    known_axes,
    micrometres,
    one_index,
    refuse_large,
)

SOURCE = Path("a.tif")
LENGTHS = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}


def _stack(axes: str, *, names: tuple[str, ...] = (), colour: bool = False) -> tuple[PlaneStack, np.ndarray[Any, Any]]:
    shape = tuple(LENGTHS[axis] for axis in axes)
    values = np.arange(np.prod(shape)).reshape(shape)
    return PlaneStack(SOURCE, axes, shape, values.dtype, array_reader(values, axes), names, None, colour), values


@given(order=st.permutations("TZCYX"), data=st.data())
def test_a_plane_is_the_same_whatever_the_order_of_the_axes(order: list[str], data: st.DataObject) -> None:
    stack, values = _stack("".join(order))
    time, z, channel = (data.draw(st.integers(0, LENGTHS[axis] - 1)) for axis in "TZC")
    sorted_values = values.transpose([order.index(axis) for axis in "TZCYX"])
    np.testing.assert_array_equal(stack.plane(time=time, z=z, channel=channel), sorted_values[time, z, channel])
    assert stack.size == (5, 6)


def test_axes_that_are_not_there_have_one_place() -> None:
    stack, values = _stack("ZYX")
    np.testing.assert_array_equal(stack.plane(z=2), values[2])
    assert (stack.length("Z"), stack.length("C"), stack.length("T")) == (3, 1, 1)


def test_big_endian_values_come_in_the_order_of_the_machine() -> None:
    values = np.arange(6, dtype=">u2").reshape(2, 3)
    plane = PlaneStack(SOURCE, "YX", (2, 3), values.dtype, array_reader(values, "YX")).plane()
    assert plane.dtype == np.dtype("uint16") and plane.dtype.isnative
    np.testing.assert_array_equal(plane, values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    values = np.zeros((4, 5), dtype=np.float32)
    values[1, 2] = bad
    stack = PlaneStack(SOURCE, "YX", (4, 5), values.dtype, array_reader(values, "YX"))
    with pytest.raises(DataError, match=r"a\.tif: 1 of 20 pixels are NaN or infinite; replace them"):
        stack.plane()


@pytest.mark.parametrize(
    ("stored", "wanted", "told"),
    [
        ("QYX", None, r"axes are QYX \(3, 4, 5\), which does not say .* such as data.axes=ZYX"),
        ("ZYX", "YX", r"axes are ZYX \(3, 4, 5\), but data.axes=YX has 2 letters; give 3"),
        ("ZYX", "ZZX", "does not say"),
        ("ZYX", "TZC", "does not say"),
    ],
)
def test_axes_that_say_nothing_are_told_with_the_remedy(stored: str, wanted: str | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        known_axes(stored, (3, 4, 5), wanted=wanted, source=SOURCE)
    assert known_axes(stored, (3, 4, 5), wanted="ZYX", source=SOURCE) == "ZYX"


def test_one_of_several_places_must_be_chosen() -> None:
    stack, _ = _stack("TYX")
    assert one_index(stack, "T", 1, key="data.time") == 1
    assert one_index(stack, "Z", None, key="data.z") == 0
    with pytest.raises(DataError, match=r"has 2 places along T; choose one: data.time=0 to 1"):
        one_index(stack, "T", None, key="data.time")
    with pytest.raises(DataError, match=r"has T from 0 to 1, so there is no data.time=2"):
        one_index(stack, "T", 2, key="data.time")


def test_channels_are_chosen_by_number_or_name() -> None:
    stack, _ = _stack("CYX", names=("DAPI", "GFP", "Cy5", "GFP"))
    assert channel_indices(stack, ["Cy5", 0]) == (2, 0)
    for wanted, told in (
        (None, r"no channel is chosen, it has 4 \(DAPI, GFP, Cy5, GFP\); set data.channels"),
        (["RFP"], "no channel 'RFP', it has 4"),
        (["GFP"], "more than one channel is called 'GFP'"),
        ([4], "no channel 4, it has 4"),
    ):
        with pytest.raises(DataError, match=told):
            channel_indices(stack, wanted)
    with pytest.raises(DataError, match="no channel 'DAPI', it has 4, without names"):
        channel_indices(_stack("CYX")[0], ["DAPI"])


def test_without_a_choice_colours_are_taken_and_the_only_channel_is() -> None:
    assert channel_indices(_stack("YXC", colour=True)[0], None) == (0, 1, 2)
    assert channel_indices(_stack("ZYX")[0], None) == (0,)


@pytest.mark.parametrize(
    ("value", "unit", "size"),
    [
        (0.65, "um", 0.65),
        (0.65, "\u00b5m", 0.65),
        (0.65, "\u03bcm", 0.65),
        (0.65, "\\u00B5m", 0.65),
        (0.65, "micron", 0.65),
        (0.65, " Micrometer ", 0.65),
        (650, "nm", 0.65),
        (6500, "\u00c5", 0.65),
        (6.5e-5, "cm", 0.65),
        (0.00065, "millimeter", 0.65),
        (1 / 25400, "inch", 1.0),
        (1.0, "pixel", None),
        (1.0, "", None),
        (1.0, "second", None),
        (0.0, "um", None),
        (-1.0, "um", None),
        (float("nan"), "um", None),
        (float("inf"), "um", None),
    ],
)
def test_lengths_are_micrometres_or_unknown(value: float, unit: str, size: float | None) -> None:
    assert micrometres(value, unit) == (None if size is None else pytest.approx(size))


def test_claimed_sizes_are_refused() -> None:
    refuse_large(SOURCE, size=(10, 10), decoded=400, max_pixels=100)
    with pytest.raises(DataError, match=r"11 x 10 pixels are more than data.max_image_pixels \(100\)"):
        refuse_large(SOURCE, size=(10, 11), decoded=1, max_pixels=100)
    with pytest.raises(DataError, match="is stored in blocks of 401 values"):
        refuse_large(SOURCE, size=(1, 1), decoded=401, max_pixels=100)
