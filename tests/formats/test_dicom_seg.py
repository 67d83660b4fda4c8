"""DICOM SEG: segments lie where the file puts them, overlaps survive, and what is written is read by others alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.sr.codedict import codes

from adapt.errors import DataError
from adapt.formats import Volume, read_dicom_series, read_nifti
from adapt.formats.dicom_seg import read_dicom_seg, write_dicom_seg

Array = npt.NDArray[Any]

PIXELS = np.random.default_rng(0).permutation(5 * 7 * 6).reshape(5, 7, 6)
"""(slices, rows, columns), each voxel a value of its own."""
SPACING = (2.5, 0.8, 0.6)  # of slices, rows, columns, mm
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ORIENTATIONS = {
    "axial": AXIAL,
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "prone": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    "oblique": (np.cos(0.2), np.sin(0.2), 0.0, -np.sin(0.2), np.cos(0.2), 0.0),
}


def _write_series(folder: Path, directions: Sequence[float] = AXIAL, *, frame_of_reference: str = "1.2.9") -> Path:
    folder.mkdir(parents=True)
    normal = np.cross(directions[:3], directions[3:])
    for index, values in enumerate(PIXELS):
        file = pydicom.Dataset()
        file.file_meta = pydicom.dataset.FileMetaDataset()
        file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        file.SOPClassUID, file.SOPInstanceUID = pydicom.uid.CTImageStorage, f"1.2.3.4.{index + 1}"
        file.StudyInstanceUID, file.SeriesInstanceUID, file.Modality = "1.2.3", "1.2.3.4", "CT"
        if frame_of_reference:
            file.FrameOfReferenceUID = frame_of_reference
        file.ImagePositionPatient = (np.array([-30.0, -40.0, 100.0]) + normal * SPACING[0] * index).tolist()
        file.ImageOrientationPatient, file.PixelSpacing, file.SliceThickness = list(directions), list(SPACING[1:]), 2.5
        file.Rows, file.Columns = values.shape
        file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
        file.PixelData = values.astype("<u2").tobytes()
        file.save_as(folder / f"{index}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def series(tmp_path: Path) -> Volume:
    return read_dicom_series(_write_series(tmp_path / "ct"))


def _foreign_seg(path: Path, series: Volume, pixels: Array, kind: str = "BINARY", names: Sequence[str] = "ABC") -> Path:
    """A SEG by highdicom, as another program would write it: (slices, rows, columns, segments), last slice first."""
    sources = [pydicom.dcmread(file) for file in sorted(series.source.iterdir(), reverse=True)]
    for source in sources:
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            setattr(source, keyword, "")
        source.StudyDate = source.StudyTime = ""
    segments = pixels.shape[3] if pixels.ndim == 4 else int(pixels.max())
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels[::-1],
        segmentation_type=kind,
        max_fractional_value=100,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                number, name, codes.SCT.AnatomicalStructure, codes.SCT.AnatomicalStructure, "MANUAL"
            )
            for number, name in zip(range(1, segments + 1), names, strict=False)
        ],
        series_instance_uid="1.2.3.5",
        series_number=2,
        sop_instance_uid="1.2.3.5.1",
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)
    return path


# ------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_is_written_lies_on_the_voxels_that_other_readers_see(tmp_path: Path, orientation: str) -> None:
    series = read_dicom_series(_write_series(tmp_path / "ct", ORIENTATIONS[orientation]))
    write_dicom_seg(
        tmp_path / "a.dcm",
        np.where(series.voxels > 150, 7, np.where(series.voxels < 20, 3, 0)),
        names={"bright": 7, "dark": 3},
        like=series,
    )
    # Where the labelled values of the series lie, by ITK alone: index to millimetres.
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "ct")))
    values = sitk.GetArrayFromImage(image)
    expected = {
        1: {_rounded(image.TransformIndexToPhysicalPoint(i[::-1])) for i in np.argwhere(values > 150).tolist()},
        2: {_rounded(image.TransformIndexToPhysicalPoint(i[::-1])) for i in np.argwhere(values < 20).tolist()},
    }
    # Where the file says that its pixels lie, by the formula of the standard (PS3.3 C.7.6.2.1.1).
    file = pydicom.dcmread(tmp_path / "a.dcm")
    found: dict[int, set[tuple[float, ...]]] = {1: set(), 2: set()}
    [shared] = file.SharedFunctionalGroupsSequence
    across, down = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    row_step, column_step = (float(step) for step in shared.PixelMeasuresSequence[0].PixelSpacing)
    for pixels, item in zip(file.pixel_array, file.PerFrameFunctionalGroupsSequence, strict=True):
        start = np.array(item.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        for row, column in np.argwhere(pixels):
            place = start + across * column_step * column + down * row_step * row
            found[item.SegmentIdentificationSequence[0].ReferencedSegmentNumber].add(_rounded(place))
    assert found == expected
    assert [one.SegmentLabel for one in file.SegmentSequence] == ["bright", "dark"]


def _rounded(place: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), 3) + 0.0 for value in place)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_what_is_written_is_read_back(tmp_path: Path, orientation: str) -> None:
    series = read_dicom_series(_write_series(tmp_path / "ct", ORIENTATIONS[orientation]))
    labels = (series.voxels % 4).astype(np.uint8)
    write_dicom_seg(tmp_path / "a.dcm", labels, names={"Größe": 3, "one": 1, "two": 2}, like=series)
    segments = read_dicom_seg(tmp_path / "a.dcm", like=series)
    assert segments.names == {1: "Größe", 2: "one", 3: "two"}
    [layer] = segments.layers
    np.testing.assert_array_equal(layer, np.array([0, 2, 3, 1])[labels])


def test_a_seg_refers_to_its_series(tmp_path: Path, series: Volume) -> None:
    write_dicom_seg(tmp_path / "a.dcm", np.ones_like(series.voxels), names={"all": 1}, like=series)
    file = pydicom.dcmread(tmp_path / "a.dcm")
    [referenced] = file.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == "1.2.3.4"
    assert len(referenced.ReferencedInstanceSequence) == len(PIXELS)
    assert (file.StudyInstanceUID, file.FrameOfReferenceUID, file.Modality) == ("1.2.3", "1.2.9", "SEG")


def test_writing_twice_leaves_one_file_of_one_number(tmp_path: Path, series: Volume) -> None:
    numbers = set()
    for _ in range(2):
        write_dicom_seg(tmp_path / "a.dcm", np.ones_like(series.voxels), names={"all": 1}, like=series)
        numbers.add(pydicom.dcmread(tmp_path / "a.dcm").SOPInstanceUID)
    assert len(numbers) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dcm", "ct"]


def test_labels_of_nothing_are_written_and_read(tmp_path: Path, series: Volume) -> None:
    write_dicom_seg(tmp_path / "a.dcm", np.zeros_like(series.voxels), names={"all": 1}, like=series)
    assert not any(layer.any() for layer in read_dicom_seg(tmp_path / "a.dcm", like=series).layers)


def test_a_seg_needs_a_series_to_refer_to(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(PIXELS.astype(np.int16), np.eye(4)), tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii")
    with pytest.raises(DataError, match=r"a\.nii: is no DICOM series; a DICOM SEG refers to one"):
        write_dicom_seg(tmp_path / "a.dcm", volume.voxels, names={"all": 1}, like=volume)
    series = read_dicom_series(_write_series(tmp_path / "ct", frame_of_reference=""))
    with pytest.raises(DataError, match=r"ct: has no frame of reference, so no DICOM SEG can refer to it"):
        write_dicom_seg(tmp_path / "a.dcm", series.voxels, names={"all": 1}, like=series)


# ------------------------------------------------------------------------------------------- reading


def _cubes() -> Array:
    """Three segments: the first two overlap, the third is beside them."""
    pixels = np.zeros((*PIXELS.shape, 3), dtype=np.uint8)
    pixels[1:4, 1:5, 1:4, 0] = 1
    pixels[2:4, 3:6, 2:5, 1] = 1
    pixels[1:3, 0, 0, 2] = 1
    return pixels


def _segment(layers: Sequence[Array], number: int) -> Array:
    """Where a segment is; it must be whole in one layer."""
    [found] = [layer == number for layer in layers if (layer == number).any()]
    return found


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_segments_that_overlap_are_all_there(tmp_path: Path, orientation: str) -> None:
    series = read_dicom_series(_write_series(tmp_path / "ct", ORIENTATIONS[orientation]))
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    segments = read_dicom_seg(path, like=series)
    assert segments.names == {1: "A", 2: "B", 3: "C"}
    assert len(segments.layers) == 2  # the third fits beside the first
    for number in (1, 2, 3):
        there = series.in_stored_order(_segment(segments.layers, number)).transpose(2, 1, 0)
        np.testing.assert_array_equal(there, _cubes()[..., number - 1] == 1)


def test_frames_may_be_few_and_in_any_order(tmp_path: Path, series: Volume) -> None:
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    file = pydicom.dcmread(path)
    assert file.NumberOfFrames == 3 + 2 + 2  # empty ones are left out
    places = [item.PlanePositionSequence[0].ImagePositionPatient[2] for item in file.PerFrameFunctionalGroupsSequence]
    assert places != sorted(places)


def test_of_fractions_half_the_maximum_belongs_to_the_segment(tmp_path: Path, series: Volume) -> None:
    pixels = np.zeros((*PIXELS.shape, 1))
    pixels[2, 3, :4, 0] = 0.3, 0.49, 0.5, 1.0
    segments = read_dicom_seg(_foreign_seg(tmp_path / "a.dcm", series, pixels, "FRACTIONAL"), like=series)
    assert np.argwhere(segments.layers[0]).tolist() == [[2, 3, 2], [2, 3, 3]]


def test_a_label_map_is_read(tmp_path: Path, series: Volume) -> None:
    labels = (PIXELS % 3).astype(np.uint8)
    segments = read_dicom_seg(_foreign_seg(tmp_path / "a.dcm", series, labels, "LABELMAP"), like=series)
    assert {1: "A", 2: "B"}.items() <= segments.names.items()
    [layer] = segments.layers
    np.testing.assert_array_equal(layer, labels)  # the series is stored as it is read


def test_highdicom_reads_the_same(tmp_path: Path, series: Volume) -> None:
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    theirs = highdicom.seg.segread(path).get_volume(combine_segments=False)
    layers = read_dicom_seg(path, like=series).layers
    first = theirs.map_indices_to_reference(np.array([[0, 0, 0]]))[0]  # they leave out what is empty
    at = round((first[2] - 100.0) / SPACING[0])
    step = 1 if theirs.affine[2, 0] > 0 else -1
    for number in (1, 2, 3):
        ours = _segment(layers, number)
        for index, plane in enumerate(theirs.array[..., number - 1]):
            np.testing.assert_array_equal(plane, ours[at + step * index])


# ------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("ImagePositionPatient", [-30.3, -40, 102.5], "a frame lies up to 0.5 voxels beside the image's"),
        ("ImagePositionPatient", [-30, -40, 200.0], r"a frame lies beside the image \(ct\)"),
        ("ImagePositionPatient", [-30, -40, 97.5], r"a frame lies beside the image \(ct\)"),
        ("PixelSpacing", [0.8, 0.7], "pixel spacing 0.8 x 0.7 mm"),
        ("ImageOrientationPatient", [0.8, 0.6, 0, -0.6, 0.8, 0], "a frame lies up to"),
    ],
)
def test_another_grid_is_refused(tmp_path: Path, series: Volume, keyword: str, value: list[float], told: str) -> None:
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    file = pydicom.dcmread(path)
    [shared] = file.SharedFunctionalGroupsSequence
    place = {
        "ImagePositionPatient": file.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
        "PixelSpacing": shared.PixelMeasuresSequence[0],
        "ImageOrientationPatient": shared.PlaneOrientationSequence[0],
    }[keyword]
    setattr(place, keyword, value)
    file.save_as(path)
    with pytest.raises(DataError, match=rf"a\.dcm: image and label do not match: .*{told}.*Resample the label"):
        read_dicom_seg(path, like=series)


def test_other_files_are_refused(tmp_path: Path, series: Volume) -> None:
    with pytest.raises(DataError, match=r"0\.dcm: is CT Image Storage, not a segmentation; a DICOM SEG file is needed"):
        read_dicom_seg(tmp_path / "ct" / "0.dcm", like=series)
    (tmp_path / "text.dcm").write_text("a letter", encoding="utf-8")
    with pytest.raises(DataError, match=r"text\.dcm: is not DICOM"):
        read_dicom_seg(tmp_path / "text.dcm", like=series)
    with pytest.raises(DataError, match=r"gone\.dcm: no such file"):
        read_dicom_seg(tmp_path / "gone.dcm", like=series)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, series: Volume, share: float) -> None:
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"a\.dcm"):
        read_dicom_seg(path, like=series)


def test_a_frame_that_claims_more_than_the_image_is_refused(tmp_path: Path, series: Volume) -> None:
    path = _foreign_seg(tmp_path / "a.dcm", series, _cubes())
    file = pydicom.dcmread(path)
    file.Rows = file.Columns = 60_000
    file.save_as(path)
    with pytest.raises(DataError, match=r"a\.dcm: frames of 60000 x 60000 pixels do not fit ct"):
        read_dicom_seg(path, like=series)
