"""Volumes in time become frames of each slice position, which know their place among the labelled ones."""

import io
import re
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from rich.console import Console

from adapt.datamodules import split_groups
from adapt.datamodules.clips import ClipData
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.medical import medical_source
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError, RecipeError
from adapt.frames import masks_to_model_frame
from adapt.recipe import MedicalData, Percentile, SplitSettings, find_recipe, load_recipe
from adapt.samples import Batch, Sample
from adapt.segmenters import SegmenterSpec

SHAPE = (40, 30, 3, 5)
"""Columns, rows, slices and times: as stored, to the left, posterior and superior, so slices are as they are stored."""
AFFINE = np.diag([-1.5, -1.25, 8.0, 1.0])
CINE = np.random.default_rng(0).integers(0, 900, SHAPE, dtype=np.int16)
VALUES = {"blood": 1, "muscle": 2}


def heart() -> npt.NDArray[np.uint8]:
    """Blood shrinks to the third frame and grows again, muscle lies below it; nothing in the uppermost slice."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for time in range(SHAPE[3]):
        labels[10 : 18 + 2 * abs(time - 2), 5:15, :2, time] = 1
        labels[10:22, 18:24, :2, time] = 2
    return labels


def sparse(*times: int) -> npt.NDArray[np.uint8]:
    """Labels of these frames alone."""
    labels = heart()
    labels[..., [time for time in range(SHAPE[3]) if time not in times]] = 0
    return labels


def write(path: Path, values: npt.NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return path


def pair(root: Path, labels: npt.NDArray[Any], *, name: str = "p1", image: npt.NDArray[Any] = CINE) -> None:
    write(root / "images" / f"{name}.nii.gz", image)
    write(root / "labels" / f"{name}.nii.gz", labels)


def settings(root: Path, **changes: object) -> MedicalData:
    given: dict[str, Any] = {"labels": VALUES, "intensity": Percentile(kind="percentile"), "min_object_pixels": 1}
    return MedicalData(kind="medical", root=str(root), **(given | {"time": "all"} | changes))


def read(root: Path, **changes: object) -> list[Sample]:
    return [s for case in medical_source(settings(root, **changes), root).cases for s in case().samples]


def refused(root: Path, **changes: object) -> str:
    with pytest.raises(DataError) as caught:
        read(root, **changes)
    return str(caught.value)


def test_each_slice_position_is_a_series_of_frames(tmp_path: Path) -> None:
    pair(tmp_path, heart())
    samples = read(tmp_path)
    assert [sample.sample_id for sample in samples] == [f"p1/axial/000{z}/t000{t}" for z in (0, 1) for t in range(5)]
    assert [sample.slice_of for sample in samples] == [(f"p1/axial/000{z}", t, None) for z in (0, 1) for t in range(5)]
    assert {sample.group for sample in samples} == {"p1"} and {sample.tracks for sample in samples} == {()}
    low, high = np.percentile(CINE, [0.5, 99.5])  # one range for all times
    for sample, (place, time) in zip(samples, ((z, t) for z in (0, 1) for t in range(5)), strict=True):
        assert sample.categories == ("blood", "muscle") and sample.spacing == pytest.approx((1.25, 1.5))
        for mask, value in zip(sample.masks, (1, 2), strict=True):
            np.testing.assert_array_equal(mask, heart()[:, :, place, time].T == value)
        expected = np.clip((CINE[:, :, place, time].T - low) / (high - low) * 255, 0, 255)
        np.testing.assert_allclose(sample.image[..., 0], expected, atol=0.51)


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_other_planes_have_series_as_well(tmp_path: Path, plane: str) -> None:
    image = np.where(heart() == 1, 200, 100).astype(np.int16)
    pair(tmp_path, heart(), image=image)
    samples = read(tmp_path, plane=plane, labels={"blood": 1}, other_labels="ignore")
    assert {sample.slice_of[0].split("/")[1] for sample in samples if sample.slice_of} == {plane}
    for sample in samples:
        np.testing.assert_array_equal(sample.masks.any(0), sample.image[..., 0] > sample.image[..., 0].min())


def test_neighbours_are_slices_of_the_same_time(tmp_path: Path) -> None:
    pair(tmp_path, heart())
    wide = Percentile(kind="percentile", low=0, high=100)
    sample = next(
        s for s in read(tmp_path, channels="neighbours", intensity=wide) if s.sample_id.endswith("0001/t0003")
    )
    expected = (CINE[:, :, :, 3].transpose(1, 0, 2) - float(CINE.min())) / (CINE.max() - CINE.min()) * 255
    np.testing.assert_allclose(sample.image, expected, atol=0.51)


def test_frames_that_nobody_has_labelled_are_passed_over(tmp_path: Path) -> None:
    """As in ACDC, of which the end of diastole and the end of systole are labelled."""
    pair(tmp_path, sparse(0, 2))
    samples = read(tmp_path)
    assert [sample.sample_id[-10:] for sample in samples] == ["0000/t0000", "0000/t0002", "0001/t0000", "0001/t0002"]
    assert [s.slice_of[1] for s in samples if s.slice_of] == [0, 1, 0, 1]  # they follow one another in a clip


def test_a_labelled_frame_that_a_slice_has_nothing_in_ends_its_clip(tmp_path: Path) -> None:
    """At the end of systole the upper slice shows no heart any more: there it has gone, though somebody has looked."""
    labels = sparse(0, 2, 3)
    labels[:, :, 1, 2] = 0
    pair(tmp_path, labels)
    assert [s.slice_of[1] for s in read(tmp_path) if s.slice_of and s.slice_of[0][-1] == "1"] == [0, 2]


def clip(root: Path, cache: Path, *, length: int, **changes: object) -> tuple[list[int], list[Batch]]:
    """Where clips begin, and the frames of the first one."""
    source = medical_source(settings(root, **changes), root)
    store = open_or_make(source, settings={}, cache=cache, console=Console(file=io.StringIO()))
    spec = SegmenterSpec(64, 16, (100.0,) * 3, (50.0,) * 3, candidates=3, fit="pad")
    by_category = settings(root, **changes).objects == "label"
    clips = ClipData(store, spec, length=length, by_category=by_category, objects=9, seed=0)
    starts = clips.starts(range(len(store.rows)))
    return starts, clips.samples(augmentation=None, features=None)[Key(0, starts[0])]


@pytest.mark.parametrize("objects", ["label", "component"])
@pytest.mark.parametrize("times", [(0, 1, 2, 3, 4), (0, 2), (1, 3, 4)])
def test_a_clip_is_one_slice_position_through_its_labelled_times(
    tmp_path: Path, objects: str, times: tuple[int, ...]
) -> None:
    pair(tmp_path, sparse(*times))
    starts, frames = clip(tmp_path, tmp_path / "cache", length=len(times), objects=objects)
    assert starts == [0, len(times)]  # one for each slice with a heart
    for time, frame in zip(times, frames, strict=True):
        for place, value in enumerate((1, 2)):
            shown = masks_to_model_frame((heart()[:, :, 0, time].T == value)[None], size=64, fit="pad")[0]
            np.testing.assert_array_equal(frame.masks[0, place].numpy(), shown)
        assert bool(frame.counted.all()) and bool(frame.object_valid.all())


def test_a_single_labelled_frame_makes_no_clip(tmp_path: Path) -> None:
    pair(tmp_path, sparse(2))
    with pytest.raises(DataError, match="no two slices with an object follow one another"):
        clip(tmp_path, tmp_path / "cache", length=2)


def test_a_patient_is_in_one_split_with_all_slices_and_times(tmp_path: Path) -> None:
    for patient in "abc":
        for scan in (1, 2):
            pair(tmp_path, sparse(0, 2), name=f"{patient}_{scan}")
    samples = read(tmp_path, group_pattern="^([a-c])_")
    splits = split_groups([sample.group for sample in samples], SplitSettings(), seed=0)
    assert sorted((*splits.train, *splits.validation, *splits.test)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("image", "labels", "fault"),
    [
        (CINE, heart()[..., 0], r"has labels of 1 frame, but p1.nii.gz has 5 and data.time=all reads them all; store"),
        (CINE, heart()[..., :4], r"has labels of 4 frames, but p1.nii.gz has 5 .* zeros in those that nobody"),
        (
            CINE[..., 0],
            heart()[..., 0],
            r"has no time axis \(its slices, rows and columns are \(3, 30, 40\)\), but data",
        ),
        (CINE[..., 0], heart(), r"has no time axis"),
        (CINE, heart()[:, :, :2], r"image and label do not match: shapes differ: \(3, 30, 40\)"),
        (CINE, heart() * 0, r"no voxel is labelled blood or muscle"),
        (CINE, heart() + 0.5 * heart(), r"label values are not whole numbers \(first: 1.5\)"),
        (np.where(CINE == CINE.max(), np.nan, CINE), heart(), r"of 18000 voxels are NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(
    tmp_path: Path, image: npt.NDArray[Any], labels: npt.NDArray[Any], fault: str
) -> None:
    pair(tmp_path, labels, image=image)
    told = refused(tmp_path)
    assert re.search(fault, told) and "\n" not in told


def test_time_of_other_formats_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(CINE[..., 0].T), tmp_path / "images" / "p1.nrrd")
    write(tmp_path / "labels" / "p1.nii", heart())
    assert "p1.nrrd: data.time=all reads four-dimensional NIfTI alone" in refused(tmp_path)
    (tmp_path / "images" / "p1.nrrd").unlink()
    (tmp_path / "images" / "p1").mkdir()
    (tmp_path / "images" / "p1" / "0001.dcm").write_bytes(b"")
    assert "p1: data.time=all reads four-dimensional NIfTI alone" in refused(tmp_path)


def test_without_time_one_volume_is_read_as_before(tmp_path: Path) -> None:
    pair(tmp_path, heart()[..., 3])
    assert "holds 5 channels; choose one: data.channel=0 to 4; if they are times, set data.time=all" in refused(
        tmp_path, time=None
    )
    alone = read(tmp_path, time=None, channel=3)
    assert [sample.slice_of for sample in alone] == [("p1", z, pytest.approx(8.0)) for z in (0, 1)]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (["data.time=all", "data.channel=0"], "time all reads every volume of a 4D file, and channel chooses one"),
        (["data.time=3"], "data.time"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused(changes: list[str], fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        load_recipe(find_recipe("medical_mr"), changes)


def test_what_the_page_says_makes_volumes_in_time_of_acdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for patient in ("patient001", "patient002"):
        write(tmp_path / "training" / patient / f"{patient}_4d.nii.gz", CINE)
        for number in (1, 3):
            write(tmp_path / "training" / patient / f"{patient}_frame0{number}.nii.gz", CINE[..., number - 1])
            write(tmp_path / "training" / patient / f"{patient}_frame0{number}_gt.nii.gz", heart()[..., number - 1])
    (tmp_path / "training" / "MANDATORY_CITATION.md").write_text("cite", encoding="utf-8")
    page = (Path(__file__).parents[2] / "docs" / "medical.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (section,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    (tmp_path / "cine.yaml").write_text("model: {checkpoint: adapt:tiny_video}\n" + section, encoding="utf-8")
    data = load_recipe(tmp_path / "cine.yaml").data
    assert isinstance(data, MedicalData)
    samples = [sample for case in medical_source(data, Path(data.root)).cases for sample in case().samples]
    assert [sample.sample_id for sample in samples] == [
        f"patient00{patient}/patient00{patient}/axial/000{z}/t000{time}"
        for patient in (1, 2)
        for z in (0, 1)
        for time in (0, 2)
    ]
    assert {sample.group for sample in samples} == {"patient001", "patient002"}
    assert samples[1].categories == ("right_ventricle", "myocardium")
    np.testing.assert_array_equal(samples[1].masks[0], heart()[:, :, 0, 2].T == 1)
