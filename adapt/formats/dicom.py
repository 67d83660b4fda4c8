"""DICOM series (CT, MR, a single X-ray) by SimpleITK; the header's rescale is applied, so CT comes in Hounsfield units.

Every header is read and checked before the first pixel is decoded.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats.itk import itk_volume, quiet_itk, reason
from adapt.formats.volume import Volume, refuse_larger

POSITION, SERIES = "0020|0032", "0020|000e"
UNEVEN = 0.01
"""Largest deviation of a slice distance from the median, as a share of it."""


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """What the header of one file says.

    Attributes:
        path: of the file.
        series: its number (UID).
        size: columns, rows and frames.
        position: of the first voxel, (x, y, z) in LPS millimetres; None if the header has none, as of an X-ray.
        directions: (3, 3); its columns are the directions of x, y and the slice normal.
        pixel_type: SimpleITK's number of the type that the rescaled values need.
    """

    path: Path
    series: str
    size: tuple[int, int, int]
    position: npt.NDArray[np.float64] | None
    directions: npt.NDArray[np.float64]
    pixel_type: int


def read_dicom_series(folder: Path, *, max_voxels: int | None = None) -> Volume:
    """The one series of a folder, as a reoriented volume.

    An X-ray whose low values are bright (MONOCHROME1) is turned round by ITK, so bone is bright in any case.

    Args:
        folder: that holds the files.
        max_voxels: what claims to have more is refused by its headers; None: any size.

    Raises:
        DataError: no series or several, an unreadable or multi-frame file, too many voxels, or slices that are
            missing, lie at one place or do not stack to a box.
    """
    with quiet_itk():
        slices = read_slice_headers(folder)
        columns, rows, _ = np.max([one.size for one in slices], axis=0)
        refuse_larger((int(columns), int(rows), len(slices)), max_voxels, source=folder)
        try:
            image = _decode(slices)
        except RuntimeError as error:
            raise DataError(f"{folder}: the DICOM series cannot be read ({reason(error)}); copy it again") from None
        if image.GetNumberOfComponentsPerPixel() != 1:
            raise DataError(f"{folder}: is not a series of single-channel slices; CT or MR is needed")
        return itk_volume(image, source=folder)


def read_slice_headers(folder: Path) -> list[SliceHeader]:
    """The headers of the one series of a folder, from slice to slice along their normal.

    Raises:
        DataError: as `read_dicom_series`, of what headers can tell.
    """
    slices, unreadable = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "DICOMDIR" or path.is_dir():
            continue
        header = _read_header(path)
        if header is not None:
            slices.append(header)
        elif path.suffix.lower() == ".dcm" or _begins_as_dicom(path):
            unreadable.append(path)
    if not slices:
        raise DataError(f"{folder}: holds no DICOM series; give each patient a folder with the files of one series")
    series = sorted({one.series for one in slices})
    if len(series) > 1:
        raise DataError(f"{folder}: holds {len(series)} DICOM series ({', '.join(series)}); keep one a folder")
    if unreadable:  # left out, the series would silently be shorter
        raise DataError(
            f"{unreadable[0]}: cannot be read as a slice of the series beside it; copy it again, or remove it"
        )
    for one in slices:
        if one.size[2] != 1:
            raise DataError(
                f"{one.path}: holds {one.size[2]} frames (multi-frame DICOM); one slice a file is read. "
                "Convert it to NIfTI, for example with dcm2niix"
            )
    return _stacked(slices, folder) if len(slices) > 1 else slices


def _read_header(path: Path) -> SliceHeader | None:
    """None if ITK reads no DICOM image in it."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    columns, rows, frames = reader.GetSize()
    return SliceHeader(
        path=path,
        series=reader.GetMetaData(SERIES).strip() if reader.HasMetaDataKey(SERIES) else "without a number",
        size=(columns, rows, frames),
        position=np.array(reader.GetOrigin()) if reader.HasMetaDataKey(POSITION) else None,
        directions=np.array(reader.GetDirection()).reshape(3, 3),
        pixel_type=reader.GetPixelID(),
    )


def _begins_as_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:  # a link to a disk that is not mounted may be a slice
        return True


def _decode(slices: list[SliceHeader]) -> sitk.Image:
    """In a function of its own: as long as the reader lives, to look at the voxels would copy them."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(one.path) for one in slices])
    kinds = {one.pixel_type for one in slices}
    if len(kinds) > 1 or kinds == {
        sitk.sitkFloat64
    }:  # the rescale differs from slice to slice, as in PET, or is broken
        reader.SetOutputPixelType(sitk.sitkFloat32)
    return reader.Execute()


def _stacked(slices: list[SliceHeader], folder: Path) -> list[SliceHeader]:
    """Slices in the order of their places, which must be even steps along the normal."""
    normal = slices[0].directions[:, 2]
    placed = [(one, one.position) for one in slices if one.position is not None]
    if len(placed) < len(slices):
        raise DataError(
            f"{folder}: {len(slices) - len(placed)} of {len(slices)} files do not say where they lie, so they are no "
            "stack of slices; give each image a folder of its own"
        )
    if any(np.abs(one.directions - slices[0].directions).max() > UNEVEN for one in slices):
        raise DataError(f"{folder}: slices lie in different directions; keep those of one direction")
    placed.sort(key=lambda pair: float(pair[1] @ normal))
    ordered = [one for one, _ in placed]
    moves = np.diff([position for _, position in placed], axis=0)
    steps = np.linalg.norm(moves, axis=1)
    usual = float(np.median(steps))
    if steps.min() <= UNEVEN * usual:
        first = int(steps.argmin())
        raise DataError(
            f"{folder}: slices lie at one place, as in a time series or with a file copied twice: "
            f"{ordered[first].path.name} and {ordered[first + 1].path.name}; a stack of slices is needed"
        )
    sideways = np.linalg.norm(moves - np.outer(moves @ normal, normal), axis=1)
    if np.abs(steps - usual).max() > UNEVEN * usual:
        worst = int(np.abs(steps - usual).argmax())
        raise DataError(
            f"{folder}: slices are not evenly spaced: {usual:.3g} mm apart, but {steps[worst]:.3g} mm between "
            f"slices {worst + 1} and {worst + 2} of {len(slices)}; a slice is missing, or the folder mixes acquisitions"
        )
    if sideways.max() > UNEVEN * usual:
        raise DataError(
            f"{folder}: slices do not stack to a box: each lies up to {sideways.max():.3g} mm beside the one before "
            "(a tilted gantry); resample the series to a box, for example with dcm2niix"
        )
    return ordered
