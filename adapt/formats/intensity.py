"""From stored numbers to the 0..255 that the model's normalisation expects, and to label values."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError

COUNTED = 2**24
"""Values that percentiles are taken of, at most; to sort all of a large volume would hold it twice."""
INTEGERS = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


def to_uint8(values: npt.NDArray[Any], *, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Values clipped to [low, high], in the values' unit, and mapped linearly to 0..255, rounded."""
    scaled: npt.NDArray[np.float32] = (np.clip(values.astype(np.float32), low, high) - low) * (
        255 / max(high - low, 1e-12)
    )
    return np.rint(scaled).astype(np.uint8)


def percentile_range(values: npt.NDArray[Any], *, low: float, high: float) -> tuple[float, float]:
    """The values at two percentiles (0..100); of more than `COUNTED` values, those of a regular grid are counted."""
    step = math.ceil(max(values.size / COUNTED, 1) ** (1 / max(values.ndim, 1)))
    bottom, top = np.percentile(values[(slice(None, None, step),) * values.ndim], [low, high])
    return float(bottom), float(top)


def integer_type(low: int, high: int) -> type[np.integer] | None:
    """The smallest integer type that holds both values, or None if none does."""
    return next((kind for kind in INTEGERS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), None)


def integral(values: npt.NDArray[Any]) -> npt.NDArray[np.integer] | None:
    """Label values as integers, or None if any is not a whole number (NaN and infinity included).

    Integers stay as they are; other numbers come in the smallest type that holds them.
    """
    if np.issubdtype(values.dtype, np.integer):
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        return None
    low, high = values.min(), values.max()  # of NaN they are NaN
    kind = integer_type(int(low), int(high)) if np.isfinite(low) and np.isfinite(high) else None
    if kind is None:
        return None
    whole = np.empty_like(values, dtype=kind)
    for index in range(len(values)):  # slice by slice, or a volume would be held several times
        whole[index] = values[index]
        if not np.array_equal(whole[index], values[index]):
            return None
    return whole


def narrowest(values: npt.NDArray[np.integer]) -> type[np.integer]:
    """The smallest integer type that holds all values."""
    return integer_type(int(values.min()), int(values.max())) or values.dtype.type


def label_values(stored: npt.NDArray[Any], *, source: object) -> npt.NDArray[np.integer]:
    """Label values as integers from 0.

    Args:
        stored: of any type.
        source: of the map, for messages.

    Raises:
        DataError: a value is not whole, or below 0.
    """
    values = integral(stored)
    if values is None:
        odd = stored[~np.isfinite(stored) | (stored != np.rint(stored)) | (np.abs(stored) >= 2**63)]
        raise DataError(f"{source}: label values are not whole numbers (first: {odd[0]:.6g}); store integers")
    if values.min(initial=0) < 0:
        raise DataError(f"{source}: label values start at 0, the least here is {values.min()}")
    return values
