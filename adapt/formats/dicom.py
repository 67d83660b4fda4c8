"""DICOM series (CT, MR) by SimpleITK; the rescale of the header is applied, so CT comes in Hounsfield units."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats.itk import itk_volume, quiet_itk
from adapt.formats.volume import Volume

POSITION = "0020|0032"
UNEVEN = 0.01
"""Largest deviation of a slice distance from the median, as a share of it."""


def read_dicom_series(folder: Path) -> Volume:
    """The one series of a folder, as a reoriented volume.

    Raises:
        DataError: no series or several, an unreadable file, or slices missing between others.
    """
    with quiet_itk():
        return _read(folder)


def _read(folder: Path) -> Volume:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise DataError(f"{folder}: holds no DICOM series; give each patient a folder with the files of one series")
    if len(series) > 1:
        raise DataError(f"{folder}: holds {len(series)} DICOM series ({', '.join(series)}); keep one a folder")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
    reader.MetaDataDictionaryArrayUpdateOn()
    _refuse_passed_over(folder, {Path(name).name for name in reader.GetFileNames()})
    try:
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{folder}: the DICOM series cannot be read ({reason}); copy it again") from None
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"{folder}: is not a series of single-channel slices; CT or MR is needed")
    directions = np.array(image.GetDirection()).reshape(3, 3)
    _refuse_gaps(reader, len(reader.GetFileNames()), folder, normal=np.cross(directions[:, 0], directions[:, 1]))
    return itk_volume(image, source=folder)


def _refuse_passed_over(folder: Path, read: set[str]) -> None:
    """A file that is cut short is not recognised, so the series would silently be shorter."""
    for path in sorted(folder.iterdir()):
        if path.name in read or path.name.startswith(".") or path.name == "DICOMDIR" or not path.is_file():
            continue
        with path.open("rb") as file:
            begins = file.read(132)
        if begins[128:] == b"DICM" or path.suffix.lower() == ".dcm":
            raise DataError(f"{path}: cannot be read as a slice of the series beside it; copy it again, or remove it")


def _refuse_gaps(reader: sitk.ImageSeriesReader, slices: int, folder: Path, *, normal: npt.NDArray[np.float64]) -> None:
    if slices < 3 or not all(reader.HasMetaDataKey(index, POSITION) for index in range(slices)):
        return
    positions = np.array([[float(v) for v in reader.GetMetaData(i, POSITION).split("\\")] for i in range(slices)])
    moves = np.diff(positions, axis=0)
    steps = np.linalg.norm(moves, axis=1)
    usual = float(np.median(steps))
    if usual == 0:
        raise DataError(f"{folder}: slices lie at one place, as in a time series; a stack of slices is needed")
    sideways = np.linalg.norm(moves - np.outer(moves @ normal, normal), axis=1)
    if np.abs(steps - usual).max() > UNEVEN * usual:
        worst = int(np.abs(steps - usual).argmax())
        raise DataError(
            f"{folder}: slices are not evenly spaced: {usual:.3g} mm apart, but {steps[worst]:.3g} mm between "
            f"slices {worst + 1} and {worst + 2} of {slices}; a slice is missing, or the folder mixes acquisitions"
        )
    if sideways.max() > UNEVEN * usual:
        raise DataError(
            f"{folder}: slices do not stack to a box: each lies up to {sideways.max():.3g} mm beside the one before "
            "(a tilted gantry); resample the series to a box, for example with dcm2niix"
        )
