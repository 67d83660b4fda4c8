"""From stored numbers to the 0..255 that the model's normalisation expects, and to label values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError


def to_uint8(values: npt.NDArray[Any], *, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Values clipped to [low, high], in the values' unit, and mapped linearly to 0..255, rounded."""
    scaled: npt.NDArray[np.float32] = (np.clip(values.astype(np.float32), low, high) - low) * (
        255 / max(high - low, 1e-12)
    )
    return np.rint(scaled).astype(np.uint8)


def percentile_range(values: npt.NDArray[Any], *, low: float, high: float) -> tuple[float, float]:
    """The values at two percentiles (0..100)."""
    bottom, top = np.percentile(values, [low, high])
    return float(bottom), float(top)


def integral(values: npt.NDArray[Any]) -> npt.NDArray[np.integer] | None:
    """Label values as integers, or None if any is not a whole number (NaN and infinity included).

    Integers stay as they are: a label volume of bytes is not made eight times as large.
    """
    if np.issubdtype(values.dtype, np.integer):
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        return None
    rounded = np.rint(values)
    return rounded.astype(np.int64) if np.array_equal(rounded, values) else None


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
        odd = stored[~np.isfinite(stored) | (stored != np.rint(stored))]
        raise DataError(f"{source}: label values are not whole numbers (first: {odd[0]:.6g}); store integers")
    if values.min(initial=0) < 0:
        raise DataError(f"{source}: label values start at 0, the least here is {values.min()}")
    return values
