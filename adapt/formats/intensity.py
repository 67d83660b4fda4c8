"""From stored numbers to the 0..255 that the model's normalisation expects."""

from typing import Any

import numpy as np
import numpy.typing as npt


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
