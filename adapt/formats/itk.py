"""NRRD and MetaImage volumes (`.nrrd`, `.mha`) by SimpleITK, and what DICOM shares with them."""

import locale
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from adapt.errors import NO_FILE, DataError
from adapt.files import write_file
from adapt.formats.intensity import narrowest
from adapt.formats.volume import Volume, checked_channel, normalise_orientation, refuse_larger

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ITK's world points to Left, Posterior, Superior, NIfTI's to Right, Anterior, Superior."""


@contextmanager
def quiet_itk() -> Iterator[None]:
    """ITK as a guest: its warnings stay off stderr, and the locale stays what it was.

    What matters of the warnings is an error here. DICOM read or written sets the locale of the process to C, in which
    text without a named encoding is taken for ASCII: files that others open, and what torch's compiler prints.
    """
    warned, place = sitk.ProcessObject.GetGlobalWarningDisplay(), locale.setlocale(locale.LC_CTYPE)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
        locale.setlocale(locale.LC_CTYPE, place)


def reason(error: RuntimeError) -> str:
    """The last line of ITK's message; those before it tell of its own source files."""
    return str(error).strip().splitlines()[-1].strip()


def itk_volume(image: sitk.Image, *, source: Path, channel: int | None = None) -> Volume:
    """A reoriented volume from an image of SimpleITK, 2D as one slice; of several components one must be chosen.

    Raises:
        DataError: the image is neither 2D nor 3D, or `channel` does not fit.
    """
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        size = image.GetSize()
        raise DataError(f"{source}: is {len(size)}-dimensional {size}; a 2D image or 3D volume is needed")
    components = image.GetNumberOfComponentsPerPixel()
    chosen = checked_channel(components, channel, source=source)
    values = sitk.GetArrayViewFromImage(image)  # (z, y, x), and the components last
    if components > 1:
        values = values[..., chosen]
    # ITK widens the 16 bits of a CT; the copy is narrow again, and the image can go.
    values = values.astype(narrowest(values) if np.issubdtype(values.dtype, np.integer) else values.dtype)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return normalise_orientation(values.transpose(2, 1, 0), LPS_TO_RAS @ affine, source=source)


def read_itk(path: Path, *, channel: int | None = None, max_voxels: int | None = None) -> Volume:
    """A NRRD or MetaImage volume, reoriented.

    Args:
        path: of the file.
        channel: which component, of a file with several.
        max_voxels: what claims to have more is refused by its header; None: any size.

    Raises:
        DataError: missing, unreadable, too large, of other dimensions, or with several components and none chosen.
    """
    if not path.is_file():
        raise DataError(f"{path}: {NO_FILE}")
    try:
        with quiet_itk():
            header = sitk.ImageFileReader()
            header.SetFileName(str(path))
            header.ReadImageInformation()
            components = header.GetNumberOfComponents()
            size = header.GetSize() if components == 1 else (*header.GetSize(), components)
            refuse_larger(size, max_voxels, source=path)
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise DataError(
            f"{path}: cannot be read as a volume ({reason(error)}); copy or convert the file again"
        ) from None
    return itk_volume(image, source=path, channel=channel)


def write_itk(path: Path, values: npt.NDArray[Any], *, like: Volume) -> None:
    """Write a (Z, Y, X) array as NRRD or MetaImage, in the axes that `like` was stored with; whole or not at all."""
    affine = LPS_TO_RAS @ like.stored_affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(like.in_stored_order(values).transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).flatten().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with tempfile.TemporaryDirectory() as folder:  # ITK writes by name and picks the format by its ending
        encoded = Path(folder) / f"volume{path.suffix}"
        sitk.WriteImage(image, encoded, useCompression=True)
        write_file(path, lambda file: file.write(encoded.read_bytes()))
