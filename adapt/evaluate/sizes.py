"""Small, medium and large objects: three equal parts of the test objects by the area of their truth."""

from collections.abc import Sequence
from dataclasses import dataclass

SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class SizePart:
    """One of the parts.

    Attributes:
        name: of `SIZES`.
        least, greatest: area of its smallest and its largest object, pixels of the image frame.
        objects: how many.
    """

    name: str
    least: int
    greatest: int
    objects: int


def size_parts(areas: Sequence[int]) -> tuple[SizePart, ...]:
    """The parts that have an object, from small to large.

    Objects of equal area are never torn apart: where many are equal, the parts are unequal, or fewer. With fewer than
    three objects there are none, since nothing could be said of them.

    Args:
        areas: of each object, pixels.
    """
    if len(areas) < len(SIZES):
        return ()
    ranked = sorted(areas)
    bounds = [ranked[len(ranked) * part // len(SIZES) - 1] for part in (1, 2, 3)]
    parts = []
    above = 0
    for name, bound in zip(SIZES, bounds, strict=True):
        inside = [area for area in ranked if above < area <= bound]
        if inside:
            parts.append(SizePart(name=name, least=inside[0], greatest=inside[-1], objects=len(inside)))
        above = bound
    return tuple(parts)
