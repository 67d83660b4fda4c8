"""DICOM series (CT, MR) by SimpleITK; the rescale of the header is applied, so CT comes in Hounsfield units."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats.volume import Volume, normalise_orientation

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
POSITION, NUMBER = "0020|0032", "0020|0013"
UNEVEN = 0.01
"""Largest deviation of a slice distance from the median, as a share of it."""


def read_dicom_series(folder: Path) -> Volume:
    """The one series of a folder, as a reoriented volume.

    Raises:
        DataError: no series or several, an unreadable file, or slices missing between others.
    """
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise DataError(f"{folder}: holds no DICOM series; give each patient a folder with the files of one series")
    if len(series) > 1:
        raise DataError(f"{folder}: holds {len(series)} DICOM series ({', '.join(series)}); keep one a folder")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
    reader.MetaDataDictionaryArrayUpdateOn()
    warned = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # uneven slices are an error below, not a line on stderr
    try:
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{folder}: the DICOM series cannot be read ({reason}); copy it again") from None
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(warned)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(f"{folder}: is not a series of single-channel slices; CT or MR is needed")
    _refuse_gaps(reader, len(reader.GetFileNames()), folder)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    stored = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    return normalise_orientation(stored, LPS_TO_RAS @ affine, source=folder)


def _refuse_gaps(reader: sitk.ImageSeriesReader, slices: int, folder: Path) -> None:
    if slices < 3 or not all(reader.HasMetaDataKey(index, POSITION) for index in range(slices)):
        return
    positions = np.array([[float(v) for v in reader.GetMetaData(i, POSITION).split("\\")] for i in range(slices)])
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    usual = float(np.median(steps))
    if np.abs(steps - usual).max() > UNEVEN * usual:
        worst = int(np.abs(steps - usual).argmax())
        raise DataError(
            f"{folder}: slices are not evenly spaced: {usual:.3g} mm apart, but {steps[worst]:.3g} mm between "
            f"slices {worst + 1} and {worst + 2} of {slices}; a slice is missing, or the folder mixes acquisitions"
        )
