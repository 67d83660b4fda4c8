"""`--interpolate 0:1:0.25` and `--write-mix 0.5`: from texts to shares of the tuned weights."""

from decimal import Decimal, InvalidOperation

from adapt.errors import RecipeError

MOST = 101


def parse_range(text: str) -> tuple[float, ...]:
    """Shares from `first:last:step`, the last one included if a step falls on it.

    Raises:
        RecipeError: it is no such text, leaves 0 to 1, or has more than `MOST` shares.
    """
    try:
        first, last, step = (Decimal(part) for part in text.split(":"))
    except (InvalidOperation, ValueError):
        raise RecipeError(f"--interpolate {text!r} is not first:last:step, as in 0:1:0.25") from None
    if not (first.is_finite() and last.is_finite() and 0 <= first <= last <= 1):
        raise RecipeError(f"--interpolate {text!r}: 0 <= first <= last <= 1 is needed; 0 is untouched, 1 is tuned")
    if not (step.is_finite() and step > 0):
        raise RecipeError(f"--interpolate {text!r}: the step must be above 0")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise RecipeError(f"--interpolate {text!r}: {count:,} mixes; take a step that makes {MOST} at most")
    return tuple(float(first + number * step) for number in range(count))


def parse_share(text: str) -> float:
    """One share.

    Raises:
        RecipeError: it is no number from 0 to 1.
    """
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise RecipeError(f"--write-mix {text!r} is no number from 0 (untouched) to 1 (tuned)")
    return share
