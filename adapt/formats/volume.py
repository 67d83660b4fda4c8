"""A volume in one orientation, with what is needed to undo it."""

import math
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


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume whose axes point to the patient's Superior, Posterior and Left, in this order.

    So `voxels[z]` is an axial slice as radiologists look at it: anterior on top, the patient's right side
    on the left. An oblique volume keeps its grid; its axes are the nearest ones.

    Attributes:
        voxels: (Z, Y, X) array; most often a view of what was read, with strides in any order.
        affine: (4, 4) float64; maps voxel indices (x, y, z, 1) of this array to millimetres in RAS+ (NIfTI's world).
        stored_orientation: (3, 2) nibabel orientation of the axes as they were stored.
        source: the file or folder it was read from.
    """

    voxels: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]
    stored_orientation: npt.NDArray[np.float64]
    source: Path

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Size of a voxel along (z, y, x), millimetres."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    def in_stored_order(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A (Z, Y, X) array of this volume with the axes (x, y, z) and directions of the stored file."""
        return np.ascontiguousarray(self._stored_view(values))

    def _stored_view(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        back = nibabel.orientations.ornt_transform(LPS, self.stored_orientation)
        view: npt.NDArray[Any] = nibabel.orientations.apply_orientation(values.transpose(2, 1, 0), back)
        return view

    @property
    def stored_affine(self) -> npt.NDArray[np.float64]:
        """(4, 4) affine of the stored array, RAS+ millimetres."""
        there = nibabel.orientations.ornt_transform(self.stored_orientation, LPS)
        undo = np.linalg.inv(nibabel.orientations.inv_ornt_aff(there, self._stored_view(self.voxels).shape))
        return np.asarray(self.affine @ undo)


def normalise_orientation(stored: npt.NDArray[Any], affine: npt.NDArray[np.float64], *, source: Path) -> Volume:
    """A `Volume` from an array (x, y, z) in any orientation and its RAS+ affine."""
    orientation = nibabel.orientations.io_orientation(affine)
    there = nibabel.orientations.ornt_transform(orientation, LPS)
    voxels = nibabel.orientations.apply_orientation(stored, there).transpose(2, 1, 0)
    return Volume(
        voxels=voxels,
        affine=affine @ nibabel.orientations.inv_ornt_aff(there, stored.shape),
        stored_orientation=orientation,
        source=source,
    )


def checked_channel(count: int, channel: int | None, *, source: Path) -> int:
    """The index of the chosen one of `count` channels; the only one needs no choice.

    Raises:
        DataError: several channels and none chosen, or one that is not there.
    """
    if channel is None and count > 1:
        raise DataError(f"{source}: holds {count} channels; choose one: data.channel=0 to {count - 1}")
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
    if first.voxels.shape != second.voxels.shape:
        return (
            f"shapes differ: {first.voxels.shape} in {first.source.name}, "
            f"{second.voxels.shape} in {second.source.name} (slices, rows, columns)"
        )
    z, y, x = first.voxels.shape
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
