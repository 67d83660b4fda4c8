"""DICOM segmentations (SEG): read by pydicom onto the voxels of an image, written by highdicom for a series.

Segments may overlap, which one label volume cannot hold: reading gives as many label volumes as are needed.
"""

import hashlib
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from adapt import __version__
from adapt.errors import NO_FILE, DataError
from adapt.files import write_file
from adapt.formats.dicom import read_slice_headers
from adapt.formats.extras import extra
from adapt.formats.itk import LPS_TO_RAS, quiet_itk
from adapt.formats.volume import TOLERANCE_VOXELS, Volume

with extra("medical", reads="DICOM SEG"):
    import highdicom
    import pydicom
    from pydicom.pixels import iter_pixels
    from pydicom.sr.codedict import codes

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime"),
)
"""What a SEG must repeat of its series, and a series need not have."""


@dataclass(frozen=True, eq=False)
class Segments:
    """What a DICOM SEG holds, on the voxels of an image.

    Attributes:
        names: segment number to its label.
        layers: (Z, Y, X) arrays of segment numbers, 0 is background; each segment is whole in one of them.
    """

    names: dict[int, str]
    layers: list[npt.NDArray[np.integer]]


@dataclass(frozen=True, eq=False)
class _Frame:
    """Where a frame lies: voxel (x, y, z) of its pixel (row, column) is `start + row * down + column * across`.

    Attributes:
        segment: its number; 0 in a label map, whose pixels say it.
        start, down, across: (3,) integers.
    """

    segment: int
    start: npt.NDArray[np.int64]
    down: npt.NDArray[np.int64]
    across: npt.NDArray[np.int64]

    def voxels(self, pixels: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], ...]:
        """(z, y, x) indices of the pixels that are set, in reading order."""
        rows, columns = np.nonzero(pixels)
        return tuple((self.start[:, None] + np.outer(self.down, rows) + np.outer(self.across, columns))[::-1])


def read_dicom_seg(path: Path, *, like: Volume) -> Segments:
    """The segments of a file on the voxels of an image; where there is no frame, there is no segment.

    Frames are placed by position, orientation and spacing, so they may be any of the image's slices in any order.
    Of a fractional segmentation, a pixel belongs to the segment from half of the maximum on.

    Raises:
        DataError: missing, unreadable, no segmentation, or a frame that does not lie on the voxels of the image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that are not quite as the standard has them
            return _read(pydicom.dcmread(path), path, like)
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except (OSError, EOFError, ValueError, AttributeError, LookupError, TypeError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as DICOM SEG ({error}); export it again") from None
    except pydicom.errors.InvalidDicomError:
        raise DataError(f"{path}: is not DICOM; a DICOM SEG file is needed") from None


def _read(file: pydicom.FileDataset, path: Path, like: Volume) -> Segments:
    if file.SOPClassUID not in (SEGMENTATION, LABEL_MAP):
        raise DataError(f"{path}: is {file.SOPClassUID.name}, not a segmentation; a DICOM SEG file is needed")
    rows, columns = int(file.Rows), int(file.Columns)
    if rows * columns > like.voxels.size:
        raise DataError(f"{path}: frames of {rows} x {columns} pixels do not fit {like.source.name}")
    names = {int(one.SegmentNumber): str(one.get("SegmentLabel", "")).strip() for one in file.SegmentSequence}
    shared = file.SharedFunctionalGroupsSequence[0]
    frames = [_place(item, shared, (rows, columns), like, path) for item in file.PerFrameFunctionalGroupsSequence]
    kind = np.uint8 if max(names, default=0) < 256 else np.uint16
    if file.SOPClassUID == LABEL_MAP:
        layer = np.zeros(like.voxels.shape, dtype=kind)
        for frame, pixels in zip(frames, iter_pixels(file, raw=True), strict=True):
            layer[frame.voxels(pixels != 0)] = pixels[pixels != 0]
        return Segments(names, [layer])
    half = file.MaximumFractionalValue / 2 if file.SegmentationType == "FRACTIONAL" else 1
    order = sorted(range(len(frames)), key=lambda index: frames[index].segment)
    decoded = zip((frames[index] for index in order), iter_pixels(file, indices=order, raw=True), strict=True)
    layers: list[npt.NDArray[np.integer]] = []
    segment = np.empty(like.voxels.shape, dtype=bool)
    for number, group in itertools.groupby(decoded, key=lambda pair: pair[0].segment):
        segment[:] = False
        for frame, pixels in group:
            segment[frame.voxels(pixels >= half)] = True
        free = next((layer for layer in layers if not layer[segment].any()), None)
        if free is None:
            free = np.zeros(like.voxels.shape, dtype=kind)
            layers.append(free)
        free[segment] = number
    return Segments(names, layers)


def _place(item: pydicom.Dataset, shared: pydicom.Dataset, size: tuple[int, int], like: Volume, path: Path) -> _Frame:
    def group(name: str) -> pydicom.Dataset:
        """A functional group: of the frame, or of all frames."""
        return (item.get(name) or shared[name].value)[0]

    directions = np.array(group("PlaneOrientationSequence").ImageOrientationPatient, dtype=float).reshape(2, 3)
    row_step, column_step = (float(value) for value in group("PixelMeasuresSequence").PixelSpacing)
    pixels = np.zeros((4, 3))  # pixel (row, column, 1) to millimetres in LPS
    pixels[:3, 0], pixels[:3, 1] = directions[1] * row_step, directions[0] * column_step
    pixels[:, 2] = [*group("PlanePositionSequence").ImagePositionPatient, 1]
    exact = (np.linalg.inv(like.affine) @ LPS_TO_RAS @ pixels)[:3]  # pixel to voxel (x, y, z)
    whole = np.rint(exact)
    corners = np.array([[row, column, 1] for row in (0, size[0] - 1) for column in (0, size[1] - 1)]).T
    apart = float(np.abs((exact - whole) @ corners).max())
    inside = (whole @ corners >= 0).all() and ((whole @ corners).T < like.voxels.shape[::-1]).all()
    if apart > TOLERANCE_VOXELS or not inside:
        place = "beside the image" if apart <= TOLERANCE_VOXELS else f"up to {apart:.2g} voxels beside the image's"
        raise DataError(
            f"{path}: image and label do not match: a frame lies {place} ({like.source.name}), "
            f"pixel spacing {row_step:.4g} x {column_step:.4g} mm. Resample the label to the image"
        )
    number = 0
    if item.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence"):
        number = int(group("SegmentIdentificationSequence").ReferencedSegmentNumber)
    down, across, start = whole.astype(np.int64).T
    return _Frame(number, start, down, across)


def write_dicom_seg(path: Path, labels: npt.NDArray[np.integer], *, names: Mapping[str, int], like: Volume) -> None:
    """Write labels as a binary DICOM SEG of the series that `like` was read from; whole or not at all.

    Args:
        path: of the file.
        labels: (Z, Y, X) values of `like`'s voxels; values without a name are left out.
        names: segment label to its value; segments are numbered from 1 in this order.
        like: a volume of `read_dicom_series`; the files of its folder become the SEG's source images.

    Raises:
        DataError: `like` is no DICOM series, or one that does not say where it lies.
    """
    if not like.source.is_dir():
        raise DataError(f"{like.source}: is no DICOM series; a DICOM SEG refers to one, so write another format")
    with quiet_itk():
        slices = read_slice_headers(like.source)
    sources = [pydicom.dcmread(one.path, stop_before_pixels=True) for one in slices]
    if slices[0].position is None or "FrameOfReferenceUID" not in sources[0]:
        raise DataError(f"{like.source}: has no frame of reference, so no DICOM SEG can refer to it")
    stored = like.in_stored_order(labels).transpose(2, 1, 0)  # slices, rows, columns
    numbers = np.zeros(stored.shape, dtype=np.uint8 if len(names) < 256 else np.uint16)
    for number, value in enumerate(names.values(), start=1):
        numbers[stored == value] = number
    content = _segmentation(sources, numbers, list(names))
    write_file(path, lambda file: content.save_as(file))


def _segmentation(
    sources: Sequence[pydicom.Dataset], numbers: npt.NDArray[np.integer], names: Sequence[str]
) -> highdicom.seg.Segmentation:
    for source, keyword in itertools.product(sources, MAY_BE_EMPTY):
        if keyword not in source:
            setattr(source, keyword, "")
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="adapt", version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.AnatomicalStructure,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(names, start=1)
    ]
    # The same labels of the same series have the same UID, so writing twice makes no second object.
    facts = [sources[0].SeriesInstanceUID, *names, hashlib.sha256(numbers.tobytes()).hexdigest()]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=numbers,
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["series", *facts]),
        series_number=1000,
        sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=facts),
        instance_number=1,
        manufacturer="adapt",
        manufacturer_model_name="adapt",
        software_versions=__version__,
        device_serial_number="0",
        specific_character_set="ISO_IR 192",
    )
