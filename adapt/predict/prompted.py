"""What is asked of an image: objects with clicks, a box, or both; in its frame, pixel indices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapt.errors import DataError

Click = tuple[float, float, int]
"""x, y and label: 1 on the object, 0 beside it."""
BoxXYXY = tuple[float, float, float, float]
"""Centres of the upper left and of the lower right pixel."""


@dataclass(frozen=True)
class PromptedObject:
    """One object that is asked for.

    Attributes:
        clicks: on and beside it; at least one if there is no box.
        box: around it.
        category: what it is called; empty if nobody says.
        score: of the detector that drew the box.
        slice: of a volume or stack, or the frame of a time series, from 0; None for an image of one.
        name: by which prompts on several slices or frames are known to be of one object; empty if it has none.
        place: where the prompt stands, for messages: the file and its line.
        frame: of a slice that has several, from 0; None where slices or frames are all that there is.
    """

    clicks: tuple[Click, ...] = ()
    box: BoxXYXY | None = None
    category: str = ""
    score: float | None = None
    slice: int | None = None
    name: str = ""
    place: str = ""
    frame: int | None = None

    def __post_init__(self) -> None:
        if not self.clicks and self.box is None:
            raise DataError(f"{self.place}: an object needs a click or a box")
        if self.box is None and not any(label for *_, label in self.clicks):
            raise DataError(
                f"{self.place}: all clicks of the object are on the background (label 0), which says where it is not; "
                "add a click on it (label 1), or a box"
            )
        if self.box is not None and (self.box[0] > self.box[2] or self.box[1] > self.box[3]):
            raise DataError(f"{self.place}: box {_numbers(self.box)} is turned round; write x_min, y_min, x_max, y_max")

    @property
    def bounds(self) -> BoxXYXY:
        """The smallest box around all that is given."""
        corners = [(x, y) for x, y, _ in self.clicks]
        if self.box is not None:
            corners += [self.box[:2], self.box[2:]]
        columns, rows = zip(*corners, strict=True)
        return min(columns), min(rows), max(columns), max(rows)

    def moved(self, left: float, top: float) -> "PromptedObject":
        """The same seen from a tile that begins at (left, top)."""
        box = self.box
        return replace(
            self,
            clicks=tuple((x - left, y - top, label) for x, y, label in self.clicks),
            box=None if box is None else (box[0] - left, box[1] - top, box[2] - left, box[3] - top),
        )


def inside(
    objects: Sequence[PromptedObject], *, height: int, width: int, slices: int, series: int = 1, named: str = "slice"
) -> list[PromptedObject]:
    """The objects as they can be asked for: boxes end at the border of the image, `slice` alone is its place.

    Args:
        objects: of one image.
        height: of the image.
        width: of the image.
        slices: of the volume or stack; 1 for a single image.
        series: slices that have frames each; see `Opened`.
        named: what one of them is called.

    Raises:
        DataError: a click or a whole box lies outside, or a slice is missing, or is not there.
    """
    objects = [_placed(wanted, slices=slices, series=series, named=named) for wanted in objects]
    for wanted in objects:
        if wanted.slice is None and slices > 1:
            raise DataError(
                f"{wanted.place}: names no {named}; the image has {slices}: give {named}, 0 to {slices - 1}"
            )
        if wanted.slice is not None and not 0 <= wanted.slice < slices:
            raise DataError(f"{wanted.place}: {named} {wanted.slice} is not there; the image has 0 to {slices - 1}")
        for x, y, _ in wanted.clicks:
            if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                raise DataError(
                    f"{wanted.place}: click ({x:g}, {y:g}) lies outside of the image of {width} x {height} pixels; "
                    "x counts columns and y rows, from 0"
                )
    return [_clipped(wanted, height=height, width=width) for wanted in objects]


def _placed(wanted: PromptedObject, *, slices: int, series: int, named: str) -> PromptedObject:
    """The object with its place among all images as its slice, in place of slice and frame."""
    length = slices // series
    if series == 1 and wanted.frame is None:
        return wanted
    if series == 1 and not (named == "frame" and wanted.slice == 0):
        raise DataError(f"{wanted.place}: names a slice and a frame; the image has {named}s alone: give {named}")
    if wanted.slice is None or wanted.frame is None:
        raise DataError(
            f"{wanted.place}: the image has {series} slices with {length} frames each: give slice, 0 to {series - 1}, "
            f"and frame, 0 to {length - 1}"
        )
    for what, place, count in (("slice", wanted.slice, series), ("frame", wanted.frame, length)):
        if not 0 <= place < count:
            raise DataError(f"{wanted.place}: {what} {place} is not there; the image has 0 to {count - 1}")
    return replace(wanted, slice=wanted.slice * length + wanted.frame, frame=None)


def _clipped(wanted: PromptedObject, *, height: int, width: int) -> PromptedObject:
    if wanted.box is None:
        return wanted
    x0, y0, x1, y1 = wanted.box
    if x1 < 0 or y1 < 0 or x0 > width - 1 or y0 > height - 1:
        raise DataError(
            f"{wanted.place}: box {_numbers(wanted.box)} lies outside of the image of {width} x {height} pixels; "
            "x counts columns and y rows, from 0"
        )
    return replace(wanted, box=(max(x0, 0.0), max(y0, 0.0), min(x1, width - 1.0), min(y1, height - 1.0)))


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
