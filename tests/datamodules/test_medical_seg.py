"""DICOM SEG as labels: segments become objects by their names, overlaps and all."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.sr.codedict import codes

from adapt.datamodules import Case
from adapt.datamodules.generated.ct_dicom import write_series
from adapt.datamodules.medical import medical_source
from adapt.errors import DataError
from adapt.recipe import HuWindow, MedicalData

SHAPE = (3, 12, 14)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("series") / "p1"
    write_series(folder, np.zeros(SHAPE, dtype=np.int16), name="p1")
    return folder


@pytest.fixture
def root(tmp_path: Path, series: Path) -> Path:
    shutil.copytree(series, tmp_path / "images" / "p1")
    (tmp_path / "labels").mkdir()
    return tmp_path


def _write_seg(path: Path, series: Path, segments: Sequence[tuple[str, npt.NDArray[np.bool_]]]) -> Path:
    """Segments as (slices, rows, columns), which may overlap; slice 0 is the lowest."""
    highdicom.seg.Segmentation(
        source_images=[pydicom.dcmread(file) for file in sorted(series.iterdir(), reverse=True)],
        pixel_array=np.stack([mask for _, mask in segments], axis=-1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                number, name, codes.SCT.AnatomicalStructure, codes.SCT.AnatomicalStructure, "MANUAL"
            )
            for number, (name, _) in enumerate(segments, start=1)
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


def _box(rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1, rows, columns] = True
    return mask


LIVER, LESION, NEXT_LESION = (
    _box(slice(1, 10), slice(1, 10)),
    _box(slice(2, 5), slice(2, 5)),
    _box(slice(2, 5), slice(5, 8)),
)


def _read(root: Path, **changes: object) -> Case:
    given: dict[str, Any] = {
        "labels": {"liver": 1, "lesion": 2},
        "intensity": HuWindow(kind="hu_window"),
        "min_object_pixels": 1,
    }
    settings = MedicalData(kind="medical", root=str(root), **(given | changes))
    [read] = medical_source(settings, root).cases
    case = read()
    return Case(samples=list(case.samples), empty_images=case.empty_images)


def _refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        _read(root, **changes)
    return str(caught.value)


def test_segments_that_overlap_or_touch_are_objects_of_their_own(root: Path, series: Path) -> None:
    # Numbered otherwise than in data.labels: the names decide, in upper or lower case.
    segments = [("Lesion", LESION), ("lesion", NEXT_LESION), ("LIVER", LIVER)]
    _write_seg(root / "labels" / "p1.dcm", series, segments)
    case = _read(root)
    [sample] = case.samples
    assert sample.sample_id == "p1/axial/0001"
    assert case.empty_images == 2
    found = sorted(zip(sample.categories, (mask.tobytes() for mask in sample.masks), strict=True))
    expected = [("lesion", LESION), ("lesion", NEXT_LESION), ("liver", LIVER)]
    assert found == sorted((name, mask[1].tobytes()) for name, mask in expected)


def test_a_folder_with_a_seg_is_a_label(root: Path, series: Path) -> None:
    (root / "labels" / "p1").mkdir()
    _write_seg(root / "labels" / "p1" / "any name.dcm", series, [("liver", LIVER)])
    [sample] = _read(root).samples
    np.testing.assert_array_equal(sample.masks[0], LIVER[1])


def test_a_seg_is_an_input(root: Path, series: Path) -> None:
    (root / "labels" / "p1").mkdir()
    path = _write_seg(root / "labels" / "p1" / "seg.dcm", series, [("liver", LIVER)])
    settings = MedicalData(kind="medical", root=str(root), labels={"liver": 1}, intensity=HuWindow(kind="hu_window"))
    assert path in medical_source(settings, root).inputs  # a segmentation that changes must make a new store


def test_a_folder_with_several_segs_is_refused(root: Path, series: Path) -> None:
    (root / "labels" / "p1").mkdir()
    for name in ("a.dcm", "b.dcm"):
        _write_seg(root / "labels" / "p1" / name, series, [("liver", LIVER)])
    assert "p1: holds 2 files; a label folder holds one DICOM SEG file" in _refused(root)


def test_a_segment_without_a_name_in_the_recipe_is_refused(root: Path, series: Path) -> None:
    _write_seg(root / "labels" / "p1.dcm", series, [("liver", LIVER), ("Spleen", LESION)])
    message = _refused(root)
    assert "p1.dcm: segments 'Spleen' (2) are not named in data.labels (liver, lesion). Name them" in message
    [sample] = _read(root, other_labels="ignore").samples
    assert sample.categories == ("liver",)


def test_a_seg_without_a_named_segment_is_refused(root: Path, series: Path) -> None:
    _write_seg(root / "labels" / "p1.dcm", series, [("Spleen", LESION)])
    message = _refused(root, other_labels="ignore")
    assert "p1.dcm: no voxel is labelled liver or lesion; it has the segments 'Spleen' (1). Remove" in message


def test_a_seg_of_another_grid_is_refused(root: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "other", np.zeros((3, 12, 20), dtype=np.int16), name="other")
    wide = np.ones((3, 12, 20), dtype=bool)
    _write_seg(root / "labels" / "p1.dcm", tmp_path / "other", [("liver", wide)])
    assert "p1.dcm: image and label do not match: a frame lies beside the image (p1)" in _refused(root)
