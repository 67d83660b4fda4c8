"""An object of one slice, followed through a volume: the mask and the box of a slice prompt the next, up and down.

Pure: what a slice is and how it is asked is the caller's; here is only which slice is asked for what, and when an
object ends.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
"""XYXY, centres of the corner pixels."""


class SliceAnswer(Protocol):
    """What a segmenter gives for an object in a slice."""

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(H, W) bool."""
        ...

    @property
    def predicted_iou(self) -> float:
        """What the segmenter expects of it."""
        ...


Given = TypeVar("Given", bound=SliceAnswer)
Ask = Callable[[int, Mapping[int, Given]], Mapping[int, Given]]
"""From a slice, and the answer of each object in the slice beside it, to the object's answers in this one."""


@dataclass(frozen=True)
class StopRules:
    """When an object has ended; see `PropagateSettings` of the recipe for the defaults.

    Attributes:
        min_iou: of the answer, as the segmenter expects it.
        area_jump: largest factor between the areas of two slices.
    """

    min_iou: float
    area_jump: float


@dataclass(frozen=True, eq=False)
class Step(Generic[Given]):
    """An object in a slice.

    Attributes:
        thing: the object.
        index: the slice.
        answer: its mask there, or the one that was refused.
        ended: why the object ends in front of this slice; empty where it goes on.
    """

    thing: int
    index: int
    answer: Given
    ended: str


def ways(slices: int, length: int) -> Iterator[tuple[int, range]]:
    """The step and the slices of each way: up through a series, down through it, and so through the next one.

    Args:
        slices: of all series, which lie one behind the other.
        length: of each.
    """
    for first in range(0, slices, length):
        yield 1, range(first, first + length)
        yield -1, range(first + length - 1, first - 1, -1)


def propagate(
    starts: Mapping[int, tuple[int, Given]], ask: Ask[Given], *, slices: int, length: int, rules: StopRules
) -> Iterator[Step[Given]]:
    """Follow objects from the slice where each was prompted, upwards and then downwards, as far as its series goes.

    Objects are followed together, so a slice is asked once on the way up and once on the way down.

    Args:
        starts: of each object, the slice where it was prompted and the answer there.
        ask: see `Ask`.
        slices: of the volume.
        length: of each series in it; see `ways`.
        rules: see `StopRules`.

    Yields:
        Each slice of each object once; the first are those where the objects were prompted. An empty answer to a prompt
        ends its object.
    """
    begun: dict[int, dict[int, Given]] = {}
    for thing, (index, answer) in starts.items():
        ended = "" if answer.mask.any() else "nothing was found"
        yield Step(thing, index, answer, ended)
        if not ended:
            begun.setdefault(index, {})[thing] = answer
    for _, way in ways(slices, length):
        followed: dict[int, Given] = {}
        for index in way:
            answers = ask(index, followed) if followed else {}
            going: dict[int, Given] = {}
            for thing, answer in answers.items():
                ended = reason_to_stop(answer, followed[thing], rules)
                yield Step(thing, index, answer, ended)
                if not ended:
                    going[thing] = answer
            followed = going | begun.get(index, {})


def reason_to_stop(answer: SliceAnswer, before: SliceAnswer, rules: StopRules) -> str:
    """Why an object ends in front of a slice, by its answer there and in the slice before; empty if it goes on."""
    area, last = int(np.count_nonzero(answer.mask)), int(np.count_nonzero(before.mask))
    if not area:
        return "the mask is empty"
    if answer.predicted_iou < rules.min_iou:
        return f"the predicted IoU is {answer.predicted_iou:.2f}"
    if not last / rules.area_jump <= area <= last * rules.area_jump:
        return f"the area jumps from {last} to {area} pixels"
    return ""


def next_box(mask: npt.NDArray[np.bool_], *, margin: float) -> Box:
    """The box that prompts the next slice.

    Args:
        mask: (H, W) bool, not empty.
        margin: how far it reaches beyond the mask on each side, as a share of the mask's side; it ends with the image.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
    wide, tall = (x1 - x0 + 1) * margin, (y1 - y0 + 1) * margin
    height, width = mask.shape
    return max(x0 - wide, 0.0), max(y0 - tall, 0.0), min(x1 + wide, width - 1.0), min(y1 + tall, height - 1.0)
