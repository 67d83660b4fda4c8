"""Which pictures a stack holds: planes, projections or frames, in the order in which they follow one another."""

from dataclasses import dataclass
from typing import Literal

from adapt.errors import DataError
from adapt.formats.planes import PlaneStack, one_index
from adapt.recipe import MicroscopyData


@dataclass(frozen=True)
class Picture:
    """What one picture of a stack shows.

    Attributes:
        time: place along T.
        planes: places along Z that make it up: one, or all that are projected.
        name: of its place in the series, such as /t0003; empty for a picture by itself.
        place: its number in the series, in time or in depth; None for a picture by itself.
    """

    time: int
    planes: tuple[int, ...]
    name: str = ""
    place: int | None = None


def series_axis(settings: MicroscopyData) -> Literal["T", "Z"] | None:
    """Along which axis pictures follow one another; None where each is by itself."""
    if settings.time == "all":
        return "T"
    return "Z" if settings.z == "all" else None


def pictures_of(image: PlaneStack, settings: MicroscopyData) -> list[Picture]:
    """The pictures of a stack, in their order.

    Raises:
        DataError: there are several times or planes and none is chosen, the chosen one is not there, or frames are
            asked for where there is no time.
    """
    count = image.length("Z")
    if settings.time == "all":
        times = image.length("T")
        if times == 1:
            raise DataError(
                f"{image.source}: has no time axis (its axes are {image.axes} {image.shape}), but data.time=all reads "
                "frames; if one of them is time, say so with data.axes, such as data.axes=TYX; else set data.time=null"
            )
        planes = _planes_together(image, settings)
        return [Picture(time, planes, f"/t{time:04d}", time) for time in range(times)]
    time = one_index(image, "T", settings.time, key="data.time")
    if settings.z == "all":
        return [Picture(time, (place,), f"/z{place:04d}", place) for place in range(count)]
    return [Picture(time, _planes_together(image, settings))]


def _planes_together(image: PlaneStack, settings: MicroscopyData) -> tuple[int, ...]:
    """The planes of each picture: all that are projected, or the chosen one."""
    if settings.z == "max":
        return tuple(range(image.length("Z")))
    assert settings.z != "all"  # see `MicroscopyData`, and `pictures_of`
    return (one_index(image, "Z", settings.z, key="data.z"),)


def refuse_other_pictures(labels: PlaneStack, image: PlaneStack, settings: MicroscopyData) -> None:
    """Check that there are labels of each picture.

    Raises:
        DataError: there are not, or there are some of planes that are made into one picture.
    """
    if settings.z == "max" and labels.length("Z") > 1:
        raise DataError(
            f"{labels.source}: has labels of {labels.length('Z')} planes, but data.z=max makes one picture of "
            "them; labels of the projection are needed, or data.z=all"
        )
    if settings.z == "all" and labels.length("Z") != image.length("Z"):
        raise DataError(
            f"{labels.source}: has labels of one plane, but data.z=all reads {image.length('Z')}; set data.z"
        )
    if settings.time == "all" and labels.length("T") != image.length("T"):
        raise DataError(
            f"{labels.source}: has labels of one frame, but data.time=all reads {image.length('T')}; label all, or set "
            "data.time to the labelled one"
        )
