"""An object followed through slices: which slice is asked for what, and where it ends."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from adapt.propagation import Step, StopRules, next_box, propagate

RULES = StopRules(min_iou=0.5, area_jump=2.0)


@dataclass(frozen=True, eq=False)
class Seen:
    mask: npt.NDArray[np.bool_]
    predicted_iou: float = 0.9


def row(length: int, *, iou: float = 0.9) -> Seen:
    """A mask of so many pixels."""
    mask = np.zeros((1, 400), dtype=bool)
    mask[0, :length] = True
    return Seen(mask, iou)


class Volume:
    """Answers for each thing and slice, and notes what it was asked."""

    def __init__(self, *things: list[Seen]) -> None:
        self.things, self.asked = things, []

    def ask(self, index: int, before: Mapping[int, Seen]) -> Mapping[int, Seen]:
        self.asked.append((index, {thing: int(seen.mask.sum()) for thing, seen in before.items()}))
        return {thing: self.things[thing][index] for thing in before}

    def followed(self, *starts: int, length: int | None = None) -> list[Step[Seen]]:
        given = {thing: (index, self.things[thing][index]) for thing, index in enumerate(starts)}
        slices = len(self.things[0])
        return list(propagate(given, self.ask, slices=slices, length=length or slices, rules=RULES))


def slices_of(steps: list[Step[Seen]], thing: int = 0) -> list[int]:
    return sorted(step.index for step in steps if step.thing == thing and not step.ended)


def reasons(steps: list[Step[Seen]]) -> dict[int, str]:
    return {step.index: step.ended for step in steps if step.ended}


def test_an_object_is_followed_up_and_down_to_the_ends_of_the_volume() -> None:
    volume = Volume([row(100)] * 6)
    steps = volume.followed(2)
    assert [step.index for step in steps] == [2, 3, 4, 5, 1, 0]
    assert not reasons(steps)


@pytest.mark.parametrize(("start", "places"), [(0, [0, 1, 2]), (1, [1, 2, 0]), (4, [4, 5, 3]), (5, [5, 4, 3])])
def test_an_object_does_not_leave_its_series(start: int, places: list[int]) -> None:
    steps = Volume([row(100)] * 6).followed(start, length=3)
    assert [step.index for step in steps] == places and not reasons(steps)


def test_a_slice_is_asked_by_the_answer_in_the_slice_beside_it() -> None:
    volume = Volume([row(90), row(100), row(110), row(120)])
    volume.followed(1)
    assert volume.asked == [(2, {0: 100}), (3, {0: 110}), (0, {0: 100})]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (row(0), "the mask is empty"),
        (row(100, iou=0.4), "the predicted IoU is 0.40"),
        (row(201), "the area jumps from 100 to 201 pixels"),
        (row(49), "the area jumps from 100 to 49 pixels"),
    ],
)
def test_an_object_ends_in_front_of_a_slice_that_does_not_show_it(answer: Seen, reason: str) -> None:
    volume = Volume([row(100), row(100), row(100), answer, row(100)])
    steps = volume.followed(1)
    assert slices_of(steps) == [0, 1, 2]
    assert reasons(steps) == {3: reason}
    assert 4 not in dict(volume.asked)  # what lies behind is not looked at


@pytest.mark.parametrize("area", [200, 50])
def test_an_area_may_grow_and_shrink_up_to_the_factor(area: int) -> None:
    assert slices_of(Volume([row(100), row(area)]).followed(0)) == [0, 1]


def test_an_answer_without_a_pixel_begins_nothing() -> None:
    volume = Volume([row(100), row(0), row(100)])
    steps = volume.followed(1)
    assert not slices_of(steps) and reasons(steps) == {1: "nothing was found"} and not volume.asked


def test_objects_that_begin_elsewhere_are_followed_together() -> None:
    volume = Volume([row(100)] * 5, [row(50)] * 5)
    steps = volume.followed(1, 3)
    assert slices_of(steps, 0) == slices_of(steps, 1) == [0, 1, 2, 3, 4]
    upwards, downwards = volume.asked[:3], volume.asked[3:]
    assert upwards == [(2, {0: 100}), (3, {0: 100}), (4, {0: 100, 1: 50})]
    assert downwards == [(2, {1: 50}), (1, {1: 50}), (0, {0: 100, 1: 50})]


def test_the_next_box_reaches_beyond_the_mask_and_ends_with_the_image() -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 0:20] = True
    assert next_box(mask, margin=0) == (0, 5, 19, 14)
    assert next_box(mask, margin=0.1) == (0, 4, 21, 15)
    assert next_box(mask, margin=1) == (0, 0, 29, 19)
