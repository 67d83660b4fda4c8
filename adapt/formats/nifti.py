"""NIfTI volumes (`.nii`, `.nii.gz`): headers by nibabel, voxels slice by slice."""

import gzip
import io
import math
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from adapt.errors import NO_FILE, DataError
from adapt.files import write_file
from adapt.formats.intensity import integer_type
from adapt.formats.volume import Clock, Volume, checked_channel, normalise_orientation, refuse_larger

LONGEST_HEADER = 64 * 2**20
"""Bytes in front of the voxels; what claims to have more is damaged, or made to waste time."""


def read_nifti(path: Path, *, channel: int | None = None, time: bool = False, max_voxels: int | None = None) -> Volume:
    """A volume, or a 2D image as a volume of one slice, reoriented; with `time` the volumes of a series.

    The scaling of the header is applied; integers stay integers if it is whole.

    Args:
        path: of the file.
        channel: which volume, of a 4D file with several; only this one is read.
        time: the fourth axis is time, and all volumes are read; of a file without it the only one, without a clock.
        max_voxels: what claims to have more is refused by its header; None: any size.

    Raises:
        DataError: the file is missing, not NIfTI, cut short, too large, of other dimensions, or 4D and no channel
            chosen.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            header = _header(file.read(nibabel.Nifti2Header.sizeof_hdr))
            shape, channels = _shape(header.get_data_shape(), path)
            clock = _clock(header) if time and header.get_data_shape()[3:4] == (channels,) and channels > 1 else None
            if clock is not None:
                shape, channels = (*shape, channels), 1
            refuse_larger(shape, max_voxels, source=path)
            kind = header.get_data_dtype()
            if kind.kind not in "iuf":
                raise DataError(
                    f"{path}: its voxels are {kind}, not one real number each; convert it to a scalar volume"
                )
            affine = _checked_affine(header.get_best_affine(), path)
            chosen = checked_channel(channels, channel, source=path, otherwise="; if they are times, set data.time=all")
            before = chosen * math.prod(shape) * kind.itemsize
            file.seek(header.get_data_offset() + before)
            stored = _voxels(file, shape, kind)
            slope, intercept = header.get_slope_inter()
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except (HeaderDataError, OSError, EOFError, ValueError, OverflowError, MemoryError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({error}); copy or convert the file again") from None
    return normalise_orientation(_scaled(stored, slope or 1, intercept or 0), affine, source=path, clock=clock)


def _clock(header: nibabel.Nifti1Header) -> Clock:
    return Clock(step=float(header["pixdim"][4]), units=int(header["xyzt_units"]))


def _header(start: bytes) -> nibabel.Nifti1Header:
    kind = nibabel.Nifti2Header if nibabel.Nifti2Header.may_contain_header(start) else nibabel.Nifti1Header
    if not kind.may_contain_header(start):
        raise ValueError("it does not begin with a NIfTI header")
    header = kind(start[: kind.sizeof_hdr])
    if not 0 <= header.get_data_offset() <= LONGEST_HEADER:
        raise ValueError(f"its voxels would begin at byte {header.get_data_offset()}")
    return header


def _shape(stored: tuple[int, ...], path: Path) -> tuple[tuple[int, ...], int]:
    """Voxels along (x, y, z), and how many volumes follow one another."""
    more = [size for size in stored[3:] if size > 1]
    if len(stored) < 2 or len(more) > 1:
        raise DataError(f"{path}: is {len(stored)}-dimensional {stored}; a 2D image or 3D volume is needed")
    if min(stored) < 1:
        raise DataError(f"{path}: has no voxel, its shape is {stored}; convert the file again")
    columns, rows, slices = (*stored, 1)[:3]
    return (columns, rows, slices), math.prod(more)


def _checked_affine(affine: npt.NDArray[Any], path: Path) -> npt.NDArray[np.float64]:
    if (
        not np.isfinite(affine).all()
        or abs(np.linalg.det(affine[:3, :3])) < 1e-12
        or np.isnan(nibabel.orientations.io_orientation(affine)).any()  # axes that coincide within rounding
    ):
        raise DataError(f"{path}: its affine has no volume: {affine.tolist()}; set a valid sform or qform")
    return affine.astype(float)


def _voxels(file: io.BufferedIOBase, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """(X, Y, Z) or (X, Y, Z, T) stored numbers; a slice at a time, as gzip would hold the whole twice."""
    columns, rows, slices = *shape[:2], math.prod(shape[2:])
    stored = np.empty((columns, rows, slices), dtype=kind.newbyteorder("="), order="F")
    for index in range(slices):
        content = file.read(columns * rows * kind.itemsize)
        if len(content) < columns * rows * kind.itemsize:
            raise EOFError(f"it ends in slice {index + 1} of {slices}")
        stored[..., index] = np.frombuffer(content, dtype=kind).reshape(rows, columns).T
    file.read(1)  # at the end of the file gzip compares its checksum
    return stored.reshape(shape, order="F")


def _scaled(stored: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    """`stored * slope + intercept`: integers where both are whole, as of most CT, and no wider than need be."""
    if (slope, intercept) == (1, 0):
        return stored
    kind = np.result_type(stored.dtype, np.float32)
    if stored.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        ends = sorted(int(end) * int(slope) + int(intercept) for end in (stored.min(), stored.max()))
        kind = np.dtype(integer_type(ends[0], ends[1]) or kind)
    scaled = np.empty_like(stored, dtype=kind)
    for index in range(stored.shape[-1]):  # part by part: the product is float64
        scaled[..., index] = stored[..., index] * slope + intercept
    return scaled


def write_nifti(path: Path, values: npt.NDArray[Any], *, like: Volume) -> None:
    """Write a (Z, Y, X) array in the axes and affine that `like` was stored with; whole or not at all.

    One of several times, (T, Z, Y, X), has the step and the units of the clock of `like`.
    """
    image = nibabel.Nifti1Image(like.in_stored_order(values), like.stored_affine)
    if like.clock is not None:
        image.header["pixdim"][4], image.header["xyzt_units"] = like.clock.step, like.clock.units
    content = image.to_bytes()
    write_file(path, lambda file: file.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content))
