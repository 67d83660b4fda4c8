"""DICOM series come in Hounsfield units and in the patient's orientation; broken ones are refused."""

import json
import locale
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk

from adapt.errors import DataError
from adapt.formats import read_dicom_series, read_nifti, same_geometry
from adapt.formats.itk import quiet_itk

Array = npt.NDArray[Any]

HOUNSFIELD = np.random.default_rng(0).integers(-1000, 2000, (6, 10, 12))
"""(slices, rows, columns); slices upwards, rows from anterior to posterior, columns from right to left."""
SPACING = (2.5, 0.8, 0.6)  # of slices, rows, columns, mm
ORIGIN = (-30.0, -40.0, 100.0)  # LPS, mm
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def _write_series(
    folder: Path,
    slices: Array = HOUNSFIELD,
    *,
    positions: Sequence[Sequence[float]] | None = None,
    directions: Sequence[float] = STRAIGHT,
    series: str = "1.2.3.4",
    prefix: str = "slice",
) -> Path:
    """One file a slice, with the tags that place it; -1024 is the intercept, as scanners use it."""
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(directions[:3], directions[3:])
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, values in enumerate(slices):
        position = np.array(ORIGIN) + normal * SPACING[0] * index if positions is None else positions[index]
        image = sitk.GetImageFromArray(values.astype(np.int16))
        image.SetSpacing((SPACING[2], SPACING[1]))
        tags = {
            "0008|0016": CT_STORAGE,
            "0008|0018": f"{series}.{index + 1}",
            "0008|0060": "CT",
            "0018|0050": str(SPACING[0]),
            "0020|000d": "1.2.3",
            "0020|000e": series,
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in position),
            "0020|0037": "\\".join(f"{value:.9f}" for value in directions),
            "0028|0030": f"{SPACING[1]}\\{SPACING[2]}",
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{prefix}_{index:03d}.dcm"))
        with quiet_itk():
            writer.Execute(image)
    return folder


def _write_nifti(path: Path, directions: Sequence[float] = STRAIGHT) -> Path:
    """The same volume as NIfTI, its affine by hand: LPS to RAS turns x and y round."""
    across, down = np.array(directions[:3]), np.array(directions[3:])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([across * SPACING[2], down * SPACING[1], np.cross(across, down) * SPACING[0]], axis=1)
    affine[:3, 3] = ORIGIN
    affine[:2] *= -1
    nibabel.save(nibabel.Nifti1Image(HOUNSFIELD.transpose(2, 1, 0).astype(np.int16), affine), path)
    return path


def test_voxels_are_hounsfield_units_in_reading_order(tmp_path: Path) -> None:
    volume = read_dicom_series(_write_series(tmp_path / "ct"))
    np.testing.assert_array_equal(volume.voxels, HOUNSFIELD)  # already superior, posterior, left
    assert volume.spacing == pytest.approx(SPACING)
    # The first voxel lies at the position of the first slice; RAS has x and y the other way round.
    np.testing.assert_allclose(volume.affine[:3, 3], [30.0, 40.0, 100.0])


def test_reading_leaves_the_locale_as_it_was(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
        read_dicom_series(folder)
        assert locale.setlocale(locale.LC_CTYPE) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def test_files_store_the_values_without_the_intercept(tmp_path: Path) -> None:
    # Otherwise the test above would hold for a reader that ignores the rescale.
    folder = _write_series(tmp_path / "ct", np.full((1, 10, 12), -1000))
    content = (folder / "slice_000.dcm").read_bytes()
    assert content.endswith(np.full(120, 24, dtype="<i2").tobytes())


@pytest.mark.parametrize(
    "directions",
    [
        STRAIGHT,
        (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),  # coronal
        (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),  # sagittal
        (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # prone
        (np.cos(0.2), np.sin(0.2), 0.0, -np.sin(0.2), np.cos(0.2), 0.0),  # oblique
    ],
    ids=["axial", "coronal", "sagittal", "prone", "oblique"],
)
def test_a_series_equals_the_nifti_of_the_same_volume(tmp_path: Path, directions: Sequence[float]) -> None:
    series = read_dicom_series(_write_series(tmp_path / "ct", directions=directions))
    nifti = read_nifti(_write_nifti(tmp_path / "ct.nii", directions))
    assert same_geometry(series, nifti) is None
    np.testing.assert_array_equal(series.voxels, nifti.voxels)


def test_slices_are_ordered_by_place_not_by_file_name(tmp_path: Path) -> None:
    # Scanned from head to feet: the first file is the highest slice.
    positions = [(ORIGIN[0], ORIGIN[1], ORIGIN[2] - SPACING[0] * index) for index in range(6)]
    volume = read_dicom_series(_write_series(tmp_path / "ct", positions=positions))
    np.testing.assert_array_equal(volume.voxels, HOUNSFIELD[::-1])
    assert volume.affine[2, 3] == pytest.approx(100.0 - 5 * 2.5)


def test_a_missing_slice_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = _write_series(tmp_path / "ct")
    (folder / "slice_003.dcm").unlink()
    with pytest.raises(
        DataError, match=r"ct: slices are not evenly spaced: 2\.5 mm .* 5 mm between slices 3 and 4 of 5"
    ):
        read_dicom_series(folder)
    assert capfd.readouterr().err == ""  # ITK would write its own warning


@pytest.mark.parametrize("index", [2, 5], ids=["middle", "last"])
@pytest.mark.parametrize("size", [0, 100, 300, 900])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, index: int, size: int) -> None:
    folder = _write_series(tmp_path / "ct")
    path = folder / f"slice_{index:03d}.dcm"
    assert path.stat().st_size > 900
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"ct[:/]"):
        read_dicom_series(folder)


def test_notes_beside_the_slices_are_no_hindrance(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    (folder / "readme.txt").write_text("scanned on Monday")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    assert read_dicom_series(folder).voxels.shape == HOUNSFIELD.shape


def test_two_series_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    _write_series(folder, series="1.2.3.5", prefix="other")
    with pytest.raises(DataError, match=r"ct: holds 2 DICOM series \(1\.2\.3\.4, 1\.2\.3\.5\); keep one a folder"):
        read_dicom_series(folder)


@pytest.mark.parametrize("content", [None, b"not DICOM" * 100], ids=["empty", "other files"])
def test_a_folder_without_a_series_is_refused(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ct"
    folder.mkdir()
    if content is not None:
        (folder / "a.dcm").write_bytes(content)
    with pytest.raises(DataError, match="ct: holds no DICOM series; give each patient a folder"):
        read_dicom_series(folder)
    assert capfd.readouterr().err == ""


def test_slices_of_different_size_are_refused(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    positions = [(ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[0] * 6)]
    _write_series(folder, np.zeros((1, 8, 8)), positions=positions, prefix="small")
    with pytest.raises(DataError, match="ct: the DICOM series cannot be read"):
        read_dicom_series(folder)


@pytest.mark.parametrize(
    "positions",
    [
        # The gantry is tilted: each slice starts 0.7 mm further back, so the voxels are no box.
        [(0, 0.7 * index, 2.5 * index) for index in range(6)],
        # Steps of equal length that turn a corner.
        [(0, 0, 2.5 * index) if index < 3 else (2.5 * (index - 2), 0, 5.0) for index in range(6)],
        # Images of one place at several times.
        [(0, 0, 0)] * 6,
    ],
    ids=["tilted", "bent", "same place"],
)
def test_slices_that_do_not_stack_to_a_box_are_refused(tmp_path: Path, positions: list[tuple[float, ...]]) -> None:
    with pytest.raises(DataError, match="ct: slices"):
        read_dicom_series(_write_series(tmp_path / "ct", positions=positions))


def test_a_series_with_too_many_voxels_is_refused_by_its_headers(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    for path in folder.iterdir():  # rows and columns of each slice: 60,000
        file = pydicom.dcmread(path)
        file.Rows = file.Columns = 60_000
        file.save_as(path)
    with pytest.raises(DataError, match=r"60000 x 60000 x 6 voxels are more than data\.max_voxels \(2,000,000,000\)"):
        read_dicom_series(folder, max_voxels=2_000_000_000)


def test_slices_at_one_place_are_refused_by_name(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    twice = pydicom.dcmread(folder / "slice_003.dcm")
    twice.SOPInstanceUID = twice.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.99"
    twice.save_as(folder / "copy.dcm")
    with pytest.raises(DataError, match=r"ct: slices lie at one place, .*: copy\.dcm and slice_003\.dcm;"):
        read_dicom_series(folder)


def test_two_slices_at_one_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ct: slices lie at one place"):
        read_dicom_series(_write_series(tmp_path / "ct", HOUNSFIELD[:2], positions=[(0, 0, 0)] * 2))


def test_slices_of_two_distances_are_refused(tmp_path: Path) -> None:
    positions = [(0, 0, 2.5 * index + max(index - 3, 0) * 1.5) for index in range(6)]
    with pytest.raises(DataError, match=r"not evenly spaced: 2\.5 mm apart, but 4 mm between slices 4 and 5 of 6"):
        read_dicom_series(_write_series(tmp_path / "ct", positions=positions))


def test_slices_of_two_directions_are_refused(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct", HOUNSFIELD[:4])
    _write_series(folder, HOUNSFIELD[:1], directions=(1, 0, 0, 0, 0, -1), prefix="scout")
    with pytest.raises(DataError, match="ct: slices lie in different directions; keep those of one direction"):
        read_dicom_series(folder)


def test_two_studies_in_a_folder_are_refused(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    _write_series(folder, series="1.2.9.5", prefix="later")
    for path in folder.glob("later*"):
        file = pydicom.dcmread(path)
        file.StudyInstanceUID = "1.2.9"
        file.save_as(path)
    with pytest.raises(DataError, match=r"ct: holds 2 DICOM series \(1\.2\.3\.4, 1\.2\.9\.5\); keep one a folder"):
        read_dicom_series(folder)


def test_other_dicom_beside_the_slices_is_named(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    file = pydicom.dcmread(folder / "slice_000.dcm")
    del file.PixelData, file.Rows, file.Columns  # a report or plan has none
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    file.save_as(folder / "report.dcm")
    with pytest.raises(DataError, match=r"ct/report\.dcm: cannot be read as a slice of the series beside it"):
        read_dicom_series(folder)


def test_a_folder_that_contains_itself_is_read_once(tmp_path: Path) -> None:
    folder = _write_series(tmp_path / "ct")
    (folder / "again").symlink_to(folder, target_is_directory=True)
    assert len(read_dicom_series(folder).voxels) == len(HOUNSFIELD)


@pytest.mark.parametrize("target", ["gone", "slice"], ids=["to a disk that is not mounted", "to itself"])
def test_a_link_that_leads_nowhere_may_be_a_slice(tmp_path: Path, target: str) -> None:
    folder = _write_series(tmp_path / "ct")
    (folder / "slice").symlink_to(folder / target)
    with pytest.raises(DataError, match=r"ct/slice: cannot be read as a slice of the series beside it; copy it again"):
        read_dicom_series(folder)


def test_each_slice_has_a_rescale_of_its_own(tmp_path: Path) -> None:
    # As PET stores its activity.
    folder = _write_series(tmp_path / "pet")
    stored = []
    for index, path in enumerate(sorted(folder.iterdir())):
        file = pydicom.dcmread(path)
        file.RescaleSlope, file.RescaleIntercept = index + 1, 0 if index % 2 else "0.5"
        file.save_as(path)
        stored.append(file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept))
    np.testing.assert_allclose(read_dicom_series(folder).voxels, np.stack(stored))


# --------------------------------------------------------------------------------- one image, many frames


def _write_xray(folder: Path, photometric: str, *, frames: int = 1, series: str = "1.2.3.4") -> Path:
    """Stored values 0..4095 that rise from left to right; no place in the patient."""
    folder.mkdir(parents=True, exist_ok=True)
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.SOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    file.SOPInstanceUID, file.StudyInstanceUID, file.SeriesInstanceUID = f"{series}.{frames}", "1.2.3", series
    file.Modality, file.ImagerPixelSpacing = "DX", [0.2, 0.1]
    file.Rows, file.Columns, file.SamplesPerPixel = 4, 5, 1
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.PhotometricInterpretation = photometric
    if frames > 1:
        file.NumberOfFrames = frames
    file.PixelData = np.tile(np.array([0, 1000, 2000, 3000, 4095], dtype="<u2"), (frames, 4, 1)).tobytes()
    file.save_as(folder / f"{frames}.dcm", enforce_file_format=True)
    return folder


def test_an_xray_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    volume = read_dicom_series(_write_xray(tmp_path / "xray", "MONOCHROME2"))
    assert volume.voxels.shape == (1, 4, 5)
    assert volume.voxels[0, 0].tolist() == [0, 1000, 2000, 3000, 4095]
    assert volume.spacing[1:] == pytest.approx((0.2, 0.1))


def test_an_xray_whose_low_values_are_bright_is_turned_round(tmp_path: Path) -> None:
    volume = read_dicom_series(_write_xray(tmp_path / "xray", "MONOCHROME1"))
    assert volume.voxels[0, 0].tolist() == [4095, 3095, 2095, 1095, 0]  # of 12 bits


def test_images_without_a_place_are_no_stack(tmp_path: Path) -> None:
    folder = _write_xray(tmp_path / "xray", "MONOCHROME2")
    (folder / "1.dcm").rename(folder / "first.dcm")
    _write_xray(folder, "MONOCHROME2")
    with pytest.raises(DataError, match="xray: 2 of 2 files do not say where they lie"):
        read_dicom_series(folder)


def test_many_frames_in_a_file_are_refused(tmp_path: Path) -> None:
    folder = _write_xray(tmp_path / "cine", "MONOCHROME2", frames=3)
    with pytest.raises(DataError, match=r"3\.dcm: holds 3 frames \(multi-frame DICOM\).* for example with dcm2niix"):
        read_dicom_series(folder)


@pytest.mark.shared_data
def test_a_scanners_series_lies_under_its_label(shared_data: Path) -> None:
    volume = read_dicom_series(shared_data / "medical_ct" / "images" / "patient_b")
    label = read_nifti(shared_data / "medical_ct" / "labels" / "patient_b.nii.gz")
    # The y axis is stored the other way round in the label, or this would prove nothing.
    assert volume.stored_orientation[1, 1] == -label.stored_orientation[1, 1]
    assert same_geometry(volume, label) is None

    body = volume.voxels > -200
    labelled = label.voxels > 0
    assert body[labelled].mean() > 0.9
    assert body[labelled[:, ::-1]].mean() < 0.8  # front and back swapped

    # Spleen and liver are even tissue of 0 to 150 HU in any contrast phase; elsewhere lie air, fat and bone.
    names = json.loads((shared_data / "medical_ct" / "labels.json").read_bytes())
    for organ in ("spleen", "liver"):
        value = int(next(key for key, name in names.items() if name == organ))
        right = volume.voxels[label.voxels == value]
        assert 0 < right.mean() < 150
        for axis in range(3):
            wrong = volume.voxels[np.flip(label.voxels, axis) == value]
            assert wrong.std() > 1.5 * right.std()


@pytest.mark.shared_data
def test_a_scanners_series_without_a_slice_is_refused(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "medical_ct" / "images" / "patient_b"
    shutil.copytree(source, tmp_path / "patient_b")
    places = {path: sitk.ReadImage(str(path)).GetOrigin()[2] for path in (tmp_path / "patient_b").iterdir()}
    sorted(places, key=lambda path: places[path])[7].unlink()
    with pytest.raises(
        DataError, match=r"patient_b: slices are not evenly spaced: 2 mm .* 4 mm between slices 7 and 8"
    ):
        read_dicom_series(tmp_path / "patient_b")
