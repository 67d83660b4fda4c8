"""NIfTI volumes (`.nii`, `.nii.gz`) by nibabel."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from adapt.errors import DataError
from adapt.files import write_file
from adapt.formats.volume import Volume, normalise_orientation, pick_channel


def read_nifti(path: Path, *, channel: int | None = None) -> Volume:
    """A 3D volume, reoriented; scaling of the header is applied, and integers stay integers without one.

    Args:
        path: of the file.
        channel: which volume, of a 4D file with several.

    Raises:
        DataError: the file is missing, not NIfTI, cut short, not 3D, or 4D and no channel chosen.
    """
    try:
        image = nibabel.load(path)
        shape = tuple(size for axis, size in enumerate(image.shape) if axis < 3 or size > 1)
        if len(shape) not in (3, 4):
            raise DataError(f"{path}: is {len(image.shape)}-dimensional {image.shape}; a 3D volume is needed")
        if 0 in shape:
            raise DataError(f"{path}: has no voxel, its shape is {image.shape}; convert the file again")
        values = np.asanyarray(image.dataobj).reshape(*shape[:3], -1)
        affine = np.asarray(image.affine, dtype=float)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (
        ImageFileError,
        HeaderDataError,
        OSError,
        EOFError,
        ValueError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        raise DataError(f"{path}: cannot be read as NIfTI ({error}); copy or convert the file again") from None
    stored = pick_channel(values, channel, source=path)
    if stored.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: its voxels are {stored.dtype}, not one real number each; convert it to a scalar volume"
        )
    if (
        not np.isfinite(affine).all()
        or abs(np.linalg.det(affine[:3, :3])) < 1e-12
        or np.isnan(nibabel.orientations.io_orientation(affine)).any()  # axes that coincide within rounding
    ):
        raise DataError(f"{path}: its affine has no volume: {affine.tolist()}; set a valid sform or qform")
    return normalise_orientation(stored, affine, source=path)


def write_nifti(path: Path, values: npt.NDArray[Any], *, like: Volume) -> None:
    """Write a (Z, Y, X) array in the axes and affine that `like` was stored with; whole or not at all."""
    content = nibabel.Nifti1Image(like.in_stored_order(values), like.stored_affine).to_bytes()
    write_file(path, lambda file: file.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content))
