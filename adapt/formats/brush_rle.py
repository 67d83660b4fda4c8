"""Masks as Label Studio's brush keeps them: the run lengths of @thi.ng/rle-pack over the bytes of an RGBA picture.

A stream of bits: 32 for how many values there are, 5 for the bits of a value (minus 1), and 4 times 4 for the bits that
a length may have (minus 1). Then, until all values are there: 1 bit (a run, or single values), 2 bits (which of the
four lengths), the length minus 1, and one value, or as many as the length says. The mask is the alpha of the picture.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WORD = 8
SIZES = (3, 4, 8, 16)
CHANNELS = 4


def encode_brush(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Bytes of an (H, W) mask, all four channels 255 where it is."""
    flat = np.repeat(mask.reshape(-1), CHANNELS)
    bits = [f"{len(flat):032b}", f"{WORD - 1:05b}", *(f"{size - 1:04b}" for size in SIZES)]
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    start = 0
    for end in ends:
        value = f"{255 * int(flat[start]):0{WORD}b}"
        while start < end:
            length = min(end - start, 2 ** SIZES[-1])
            place = next(place for place, size in enumerate(SIZES) if length <= 2**size)
            bits.append(f"1{place:02b}{length - 1:0{SIZES[place]}b}{value}")
            start += length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_brush(content: Sequence[int], *, height: int, width: int) -> npt.NDArray[np.bool_]:
    """The (H, W) mask: where alpha is above 0.

    Args:
        content: bytes, 0 to 255.
        height: of the picture.
        width: of the picture.

    Raises:
        ValueError: they are no bytes, end too early, or are of a picture of another size.
    """
    packed = bytes(content)
    text = f"{int.from_bytes(packed, 'big'):0{len(packed) * 8}b}" if packed else ""
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        if place > len(text):
            raise ValueError("it ends too early")
        return int(text[place - count : place], 2)

    total = read(32)
    if total != height * width * CHANNELS:
        raise ValueError(f"it has {total} values, not four for each of {width} x {height} pixels")
    word = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    lengths: list[int] = []
    done = 0
    while done < total:
        repeated = read(1)
        length = min(read(sizes[read(2)]) + 1, total - done)
        for run in [length] if repeated else [1] * length:
            values.append(read(word))
            lengths.append(run)
        done += length
    flat = np.repeat(np.array(values) > 0, lengths)
    return np.asarray(flat.reshape(height, width, CHANNELS)[..., -1])
