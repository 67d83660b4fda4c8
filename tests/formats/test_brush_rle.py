"""Label Studio's brush masks: there and back, a stream written out by hand, and what is refused."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapt.formats.brush_rle import decode_brush, encode_brush

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(mask=SIZES.flatmap(lambda size: arrays.arrays(bool, size)))
def test_a_mask_comes_back(mask: npt.NDArray[np.bool_]) -> None:
    height, width = mask.shape
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), height=height, width=width), mask)


def test_runs_longer_than_the_longest_length_come_back() -> None:
    mask = np.zeros((300, 400), dtype=bool)
    mask[:200] = True
    np.testing.assert_array_equal(decode_brush(encode_brush(mask), height=300, width=400), mask)


def _bytes(bits: str) -> list[int]:
    bits = bits.replace(" ", "")
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


HEADER = f"{8:032b} 00111 0010 0011 0111 1111"
"""Eight values (two pixels) of 8 bits, lengths of 3, 4, 8 and 16 bits."""


def test_a_stream_by_hand() -> None:
    mask = np.array([[False, True]])
    run_of_four = "1 00 011"
    stream = _bytes(f"{HEADER} {run_of_four} 00000000 {run_of_four} 11111111")
    assert encode_brush(mask) == stream
    np.testing.assert_array_equal(decode_brush(stream, height=1, width=2), mask)


def test_single_values_are_read_and_alpha_alone_counts() -> None:
    """As the browser writes them: colours, and a faint brush."""
    pixels = "11111111 00000001 00000000 00000000", "00000000 00000000 00000000 00000001"
    stream = _bytes(f"{HEADER} 0 00 111 {pixels[0]} {pixels[1]}")
    np.testing.assert_array_equal(decode_brush(stream, height=1, width=2), [[False, True]])


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        ([], "ends too early"),
        (_bytes(HEADER), "ends too early"),
        (_bytes(f"{2**32 - 1:032b} 00111 0010 0011 0111 1111"), "4294967295 values, not four for each of 2 x 1"),
        ([256], "bytes"),
        ([-1], "bytes"),
    ],
)
def test_a_damaged_stream_is_refused(stream: list[int], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        decode_brush(stream, height=1, width=2)


@settings(max_examples=100)
@given(content=st.binary(max_size=40))
def test_any_bytes_are_a_mask_or_refused(content: bytes) -> None:
    stream = [0, 0, 0, 8, *content]
    try:
        assert decode_brush(stream, height=1, width=2).shape == (1, 2)
    except ValueError:
        return
