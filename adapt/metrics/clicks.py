"""How many clicks it takes: NoC, the number of clicks to a wanted IoU (RITM: Sofiiuk et al., 2022, section 5)."""

from collections.abc import Sequence


def clicks_to_reach(curve: Sequence[float], wanted: float) -> int:
    """Clicks until the IoU is first at least `wanted`; all of them if it never is (the cap counts as reached).

    Args:
        curve: IoU after each click, from the first.
        wanted: IoU.

    Raises:
        ValueError: the curve is empty.
    """
    if not curve:
        raise ValueError("a curve has at least one click")
    return next((number for number, iou in enumerate(curve, start=1) if iou >= wanted), len(curve))
