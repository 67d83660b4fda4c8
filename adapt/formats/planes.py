"""Images of many planes (time, z, channel): what TIFF and OME-Zarr are read as, one plane at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError

AXES = "TZCYX"
PlaneReader = Callable[[Mapping[str, int | slice]], npt.NDArray[Any]]
"""From the index of each leading axis that is there, such as {"Z": 3}, to an (H, W) array; of a window, "Y" and "X" are
slices with a start and a stop."""
MICROMETRES = {
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("\u00c5", "\u212b", "angstrom"), 1e-4),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("um", "micron", "microns", "micrometer"), 1.0),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("in", "inch"), 25_400.0),
}
"""Units of length as OME-XML, ImageJ and OME-Zarr write them."""
MICRO_SIGNS = ("\\u00B5", "\\u00b5", "\u00b5", "\u03bc")
"""ImageJ escapes the sign, and there are two of it in Unicode."""


@dataclass(frozen=True, eq=False)
class PlaneStack:
    """An image whose planes are read when they are asked for.

    Attributes:
        source: file or folder, for messages.
        axes: letters of T, Z, C, Y and X in the order of `shape`; Y and X are always there.
        shape: length of each axis.
        dtype: of the values.
        read: see `PlaneReader`.
        channel_names: of each channel, or empty.
        pixel_size: (row, column) in micrometres, or None where the file does not say.
        colour: the channels are the red, green and blue (and alpha) of an ordinary picture.
        windowed: of a plane a window can be read without the rest.
    """

    source: Path
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: PlaneReader
    channel_names: tuple[str, ...] = ()
    pixel_size: tuple[float, float] | None = None
    colour: bool = False
    windowed: bool = False

    def length(self, axis: str) -> int:
        """Of an axis; 1 if it is not there."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        return self.length("Y"), self.length("X")

    def plane(
        self, *, time: int = 0, z: int = 0, channel: int = 0, window: tuple[slice, slice] | None = None
    ) -> npt.NDArray[Any]:
        """The (H, W) values of a plane, or of these rows and columns of it, in the machine's byte order.

        Raises:
            DataError: the plane is damaged or missing, or has NaN or infinite values.
        """
        index: dict[str, int | slice] = {"T": time, "Z": z, "C": channel}
        if window is not None:
            index |= {"Y": window[0], "X": window[1]}
        stored = self.read({axis: place for axis, place in index.items() if axis in self.axes})
        values = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
        bad = int(np.count_nonzero(~np.isfinite(values))) if values.dtype.kind == "f" else 0
        if bad:
            raise DataError(f"{self.source}: {bad} of {values.size} pixels are NaN or infinite; replace them")
        return values


def array_reader(array: Any, axes: str) -> PlaneReader:  # noqa: ANN401 - whatever is indexed as numpy's arrays are
    """Reads planes of an array with these axes: in memory, memory mapped, or of zarr."""

    def read(index: Mapping[str, int | slice]) -> npt.NDArray[Any]:
        plane = np.asarray(array[tuple(index.get(axis, slice(None)) for axis in axes)])
        return plane if axes.index("Y") < axes.index("X") else plane.T

    return read


def known_axes(stored: str, shape: Sequence[int], *, wanted: str | None, source: Path) -> str:
    """The axes of an array, one letter of T, Z, C, Y, X each.

    Args:
        stored: as the file says; letters that stand for nothing known are allowed if `wanted` is given.
        shape: length of each axis.
        wanted: `data.axes`, which goes before.
        source: for messages.

    Raises:
        DataError: the letters are unknown, occur twice, lack Y or X, or do not fit the shape.
    """
    axes = stored if wanted is None else wanted
    told = f"{source}: its axes are {stored} {tuple(shape)}"
    if wanted is not None and len(wanted) != len(shape):
        raise DataError(f"{told}, but data.axes={wanted} has {len(wanted)} letters; give {len(shape)}")
    if not {"Y", "X"} <= set(axes) <= set(AXES) or len(set(axes)) != len(axes):
        example = AXES[-len(shape) :] if len(shape) < 4 else "TZYX" if len(shape) == 4 else AXES
        raise DataError(
            f"{told}, which does not say what each one is; set data.axes, one letter each of "
            f"T (time), Z, C (channel), Y, X, such as data.axes={example.replace('CYX', 'ZYX')}"
        )
    return axes


def one_index(stack: PlaneStack, axis: str, wanted: int | None, *, key: str) -> int:
    """The place along an axis; the only one needs no choice.

    Raises:
        DataError: there are several and none is chosen, or the chosen one is not there.
    """
    count = stack.length(axis)
    if wanted is None and count > 1:
        raise DataError(
            f"{stack.source}: has {count} places along {axis}; choose one: {key}=0 to {count - 1}, or {key}=all"
        )
    if wanted is not None and wanted >= count:
        there = f"has {axis} from 0 to {count - 1}" if count > 1 else f"has one place along {axis}"
        raise DataError(f"{stack.source}: {there}, so there is no {key}={wanted}; correct it, or leave it out")
    return wanted or 0


def channel_indices(stack: PlaneStack, wanted: Sequence[int | str] | None) -> tuple[int, ...]:
    """Places of the wanted channels, by number or name; by default the only one, or red, green and blue.

    Raises:
        DataError: there are several and none is chosen, or a chosen one is not there, or its name is there twice.
    """
    count, names = stack.length("C"), stack.channel_names
    has = f"it has {count}" + (f" ({', '.join(names)})" if names else ", without names")
    if wanted is None:
        if stack.colour:
            return (0, 1, 2)
        if count > 1:
            raise DataError(f"{stack.source}: no channel is chosen, {has}; set data.channels=[0], or up to three")
        return (0,)
    found = []
    for channel in wanted:
        places = [channel] if isinstance(channel, int) else [i for i, name in enumerate(names) if name == channel]
        if len(places) != 1 or places[0] >= count:
            twice = "more than one channel is called" if len(places) > 1 else "no channel"
            raise DataError(f"{stack.source}: {twice} {channel!r}, {has}; set data.channels")
        found += places
    return tuple(found)


def micrometres(value: float, unit: str) -> float | None:
    """A length in micrometres, or None if it is not positive or the unit is none of length (pixel, for example)."""
    for sign in MICRO_SIGNS:
        unit = unit.replace(sign, "u")
    unit = unit.strip()
    factor = MICROMETRES.get(unit if len(unit) < 3 else unit.lower())
    return value * factor if factor and np.isfinite(value) and value > 0 else None


def refuse_large(source: Path, *, size: tuple[int, int], decoded: int, max_pixels: int) -> None:
    """Check sizes that a header claims, before anything is decoded.

    Args:
        source: for messages.
        size: rows and columns of a plane.
        decoded: values that are decoded at once, such as those of a chunk.
        max_pixels: `data.max_image_pixels`; as many pixels may have four values each.

    Raises:
        DataError: the plane, or what is decoded at once, is larger.
    """
    if size[0] * size[1] > max_pixels:
        raise DataError(
            f"{source}: {size[1]} x {size[0]} pixels are more than data.max_image_pixels ({max_pixels:,}); raise it, "
            "or cut the image into tiles"
        )
    if decoded > 4 * max_pixels:
        raise DataError(
            f"{source}: is stored in blocks of {decoded:,} values, more than four for each of "
            f"data.max_image_pixels ({max_pixels:,}); raise it, or store smaller blocks"
        )
