"""A volume in one orientation, with what is needed to undo it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from adapt.errors import DataError

LPS = nibabel.orientations.axcodes2ornt(("L", "P", "S"))
CORNERS = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
TOLERANCE_VOXELS = 0.1


@dataclass(frozen=True)
class Clock:
    """What a file says of the times of its volumes; it is written back and decides nothing.

    Attributes:
        step: between two volumes, in the unit that the file names; 0 where it says nothing.
        units: NIfTI's code (`xyzt_units`) for the units of space and time.
    """

    step: float
    units: int


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume whose axes point to the patient's Superior, Posterior and Left, in this order; or several in time.

    So `voxels[z]` is an axial slice as radiologists look at it: anterior on top, the patient's right side
    on the left. An oblique volume keeps its grid; its axes are the nearest ones.

    Attributes:
        voxels: (Z, Y, X) array, of several times (T, Z, Y, X); most often a view of what was read, with strides in any
            order.
        affine: (4, 4) float64; maps voxel indices (x, y, z, 1) of this array to millimetres in RAS+ (NIfTI's world).
        stored_orientation: (3, 2) nibabel orientation of the axes as they were stored.
        source: the file or folder it was read from.
        clock: of several times; None of one volume.
    """

    voxels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    stored_orientation: npt.NDArray[np.float64]
    source: Path
    clock: Clock | None = None

    @property
    def frames(self) -> Sequence[npt.NDArray[Any]]:
        """(Z, Y, X) voxels at each time; the only ones of a volume without time."""
        return [self.voxels] if self.clock is None else list(self.voxels)

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = self.voxels.shape[-3:]
        return z, y, x

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Size of a voxel along (z, y, x), millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    def in_stored_order(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A (Z, Y, X) array of this volume with the axes (x, y, z) and directions of the stored file.

        One of several times, (T, Z, Y, X), comes as (x, y, z, t).
        """
        return np.ascontiguousarray(self._stored_view(values))

    def _stored_view(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        back = nibabel.orientations.ornt_transform(LPS, self.stored_orientation)
        view: npt.NDArray[Any] = nibabel.orientations.apply_orientation(values.T, back)
        return view

    @property
    def stored_affine(self) -> npt.NDArray[np.float64]:
        """(4, 4) affine of the stored array, RAS+ millimetres."""
        there = nibabel.orientations.ornt_transform(self.stored_orientation, LPS)
        undo = np.linalg.inv(nibabel.orientations.inv_ornt_aff(there, self._stored_view(self.voxels).shape))
        return np.asarray(self.affine @ undo)


def normalise_orientation(
    stored: npt.NDArray[Any], affine: npt.NDArray[np.float64], *, source: Path, clock: Clock | None = None
) -> Volume:
    """A `Volume` from an array (x, y, z), or (x, y, z, t), in any orientation and its RAS+ affine."""
    orientation = nibabel.orientations.io_orientation(affine)
    there = nibabel.orientations.ornt_transform(orientation, LPS)
    return Volume(
        voxels=nibabel.orientations.apply_orientation(stored, there).T,
        affine=affine @ nibabel.orientations.inv_ornt_aff(there, stored.shape),
        stored_orientation=orientation,
        source=source,
        clock=clock,
    )


def checked_channel(count: int, channel: int | None, *, source: Path, otherwise: str = "") -> int:
    """The index of the chosen one of `count` channels; the only one needs no choice.

    Args:
        count: of the file.
        channel: that is chosen.
        source: of the file.
        otherwise: for the message, what else can be done about several.

    Raises:
        DataError: several channels and none chosen, or one that is not there.
    """
    if channel is None and count > 1:
        raise DataError(f"{source}: holds {count} channels; choose one: data.channel=0 to {count - 1}{otherwise}")
    if channel is not None and channel >= count:
        raise DataError(f"{source}: has no channel {channel}, it holds {count}; set data.channel=0 to {count - 1}")
    return channel or 0


def refuse_larger(shape: tuple[int, ...], max_voxels: int | None, *, source: Path) -> None:
    """Check a shape against a limit, before anything of this size is decoded.

    Raises:
        DataError: more voxels than the limit; None is no limit.
    """
    if max_voxels is not None and math.prod(shape) > max_voxels:
        raise DataError(
            f"{source}: {' x '.join(map(str, shape))} voxels are more than data.max_voxels ({max_voxels:,}); "
            "raise it, or crop the volume"
        )


def same_geometry(first: Volume, second: Volume) -> str | None:
    """None when both volumes cover the same voxels of the patient, else what differs, for a message.

    Affines may differ by rounding: no corner of the volume may lie more than a tenth of a voxel apart.
    """
    if first.size != second.size:
        return (
            f"shapes differ: {first.size} in {first.source.name}, {second.size} in {second.source.name} "
            "(slices, rows, columns)"
        )
    z, y, x = first.size
    corners = CORNERS * (x - 1, y - 1, z - 1, 1)
    apart = np.linalg.norm(((first.affine - second.affine) @ corners.T)[:3], axis=0).max()
    if apart > TOLERANCE_VOXELS * min(first.spacing):
        return (
            f"affines differ by up to {apart:.3g} mm: spacing (z, y, x) {_rounded(first.spacing)} and "
            f"{_rounded(second.spacing)} mm, "
            f"origin {_rounded(first.affine[:3, 3])} and {_rounded(second.affine[:3, 3])}"
        )
    return None


def _rounded(values: tuple[float, ...] | npt.NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{float(value):.4g}" for value in values) + ")"
