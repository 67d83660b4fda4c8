"""Number of clicks on curves whose answer is known."""

import pytest

from adapt.metrics import clicks_to_reach


@pytest.mark.parametrize(
    ("curve", "wanted", "clicks"),
    [
        ([0.9], 0.85, 1),
        ([0.2, 0.85, 0.1], 0.85, 2),  # reached is reached, though it falls again
        ([0.2, 0.84, 0.849], 0.85, 3),  # never: the cap
        ([0.0] * 20, 0.9, 20),
        ([0.1, 0.5, 0.91, 0.95], 0.9, 3),
    ],
)
def test_clicks_until_the_iou_is_reached(curve: list[float], wanted: float, clicks: int) -> None:
    assert clicks_to_reach(curve, wanted) == clicks


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one click"):
        clicks_to_reach([], 0.9)
