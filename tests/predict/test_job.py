"""A prediction from beginning to end, with a segmenter that makes no mistake: what is written, what a stop leaves."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import torch
from exact_segmenter import ExactSegmenter, discs, same_partition
from PIL import Image
from rich.console import Console

from adapt.errors import DataError, RunError
from adapt.formats import decode_masks, encode_masks, normalise_orientation, read_coco, read_nifti, write_nifti
from adapt.formats.coco import read_coco_dataset
from adapt.formats.coco_results import read_coco_predictions
from adapt.formats.dicom import read_dicom_series
from adapt.formats.dicom_seg import read_dicom_seg
from adapt.predict import Model, Request, Tally, predict
from adapt.recipe import (
    DataSettings,
    FolderData,
    GenerateSettings,
    HuWindow,
    MedicalData,
    MicroscopyData,
    PredictSettings,
)

PICTURES = FolderData(kind="folder", root="-")
VOLUMES = MedicalData(
    kind="medical", root="-", labels={"liver": 5, "spleen": 2}, intensity=HuWindow(kind="hu_window", windows=[[0, 255]])
)
PLANES = MicroscopyData(kind="microscopy", root="-", intensity=None, tile_size=64, tile_overlap=16)


def job(
    source: Path,
    output: Path,
    *,
    data: DataSettings = PICTURES,
    segmenter: ExactSegmenter | None = None,
    prompts: object = None,
    weights: str = "w",
    formats: tuple[str, ...] = (),
    follow: bool = False,
    overview: bool = False,
    console: Console | None = None,
    **settings: object,
) -> Tally:
    path = None
    if prompts is not None:
        path = output.parent / "prompts.json"
        path.write_text(json.dumps(prompts), encoding="utf-8")
    generate = GenerateSettings(points_per_side=32, predicted_iou=0.9, crop_edge=0)
    model = Model(
        segmenter or ExactSegmenter(), torch.device("cpu"), generate, PredictSettings.model_validate(settings)
    )
    request = Request(source, output, path, formats, follow, overview)
    about = {"model": {"weights": weights}}
    return predict(request, model, data, about=about, console=console or Console(file=io.StringIO()))


def picture(path: Path, pixels: npt.NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.repeat(pixels[..., None], 3, axis=2)).save(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three pictures: of 5, 6 and no discs."""
    for number, count in enumerate((5, 6)):
        picture(tmp_path / "images" / f"{number}.png", discs(64, 64, count=count, seed=number, largest=9))
    picture(tmp_path / "images" / "empty.png", np.zeros((64, 64), dtype=np.uint8))
    return tmp_path / "images"


def centre(image: npt.NDArray[np.integer], value: int) -> list[float]:
    rows, columns = np.nonzero(image == value)
    return [float(np.median(columns)), float(np.median(rows))]


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(path))[..., 0]


def test_automatic_masks_of_a_folder_come_as_coco_that_data_kind_coco_reads(images: Path, tmp_path: Path) -> None:
    tally = job(images, tmp_path / "out")
    assert (tally.inputs, tally.objects, tally.empty) == (3, 11, 1)
    found = {image.file_name: image for image in read_coco(tmp_path / "out" / "coco.json")}
    assert sorted(found) == ["0.png", "1.png", "empty.png"] and not found["empty.png"].objects
    truth = read_picture(images / "1.png")
    masks = [
        decode_masks([one.segmentation["counts"].encode()], height=64, width=64)[0] for one in found["1.png"].objects
    ]
    assert {mask.tobytes() for mask in masks} == {(truth == value).tobytes() for value in range(1, 7)}
    record = json.loads((tmp_path / "out" / "records" / "1.json").read_text())
    assert record["model"] == {"weights": "w"} and len(record["objects"]) == 6
    assert record["objects"][0]["prompt"]["automatic"] is True


@pytest.mark.parametrize("data", [PICTURES, PLANES])
def test_where_no_mask_is_kept_the_threshold_that_has_taken_all_is_named(
    images: Path, tmp_path: Path, data: DataSettings
) -> None:
    picture(images / "2.png", discs(80, 80, count=6, seed=2, largest=9))  # in tiles, as a plane
    console = Console(file=io.StringIO())
    tally = job(images, tmp_path / "out", data=data, segmenter=ExactSegmenter(predicted_iou=0.6), console=console)
    assert tally.empty == 4
    told = console.file.getvalue()
    assert "4 inputs without an object: no mask is kept: of" in told
    assert "the best predicted IoU is 0.600, not above generate.predicted_iou=0.9; lower it" in told


def test_a_prompt_that_finds_nothing_is_no_matter_of_thresholds(images: Path, tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    tally = job(images / "empty.png", tmp_path / "out", prompts=[{"clicks": [[5, 5]]}], console=console)
    assert tally.empty == 1 and "of prompts see that they lie on an object" in console.file.getvalue()


def test_each_prompt_is_an_object_in_the_order_of_the_prompts(images: Path, tmp_path: Path) -> None:
    truth = read_picture(images / "0.png")
    x, y = centre(truth, 3)
    rows, columns = np.nonzero(truth == 2)
    box = [int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())]
    prompts = [
        {"image": "0.png", "clicks": [[x, y]], "category": "cell"},
        {"image": "0", "box": box},
        {"image": "0", "clicks": [[x, y], centre(truth, 1)]},
    ]
    segmenter = ExactSegmenter()
    tally = job(images, tmp_path / "out", segmenter=segmenter, prompts=prompts)
    assert (tally.inputs, tally.objects, tally.skipped) == (1, 2, 2)  # the third is where the first is already
    assert segmenter.encoded == 1  # the image once, and the others not at all
    content = json.loads((tmp_path / "out" / "0.json").read_text())
    masks = [
        decode_masks([one["segmentation"]["counts"].encode()], height=64, width=64)[0] for one in content["annotations"]
    ]
    assert [mask.tobytes() for mask in masks] == [(truth == value).tobytes() for value in (3, 2, 3)]
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    assert [names[one["category_id"]] for one in content["annotations"]] == ["cell", "object", "object"]


def test_only_a_single_click_gets_several_candidates(images: Path, tmp_path: Path) -> None:
    clicks = [{"image": "0", "clicks": [[1, 1]]}, {"image": "0", "clicks": [[2, 2]]}]
    others = [{"image": "0", "clicks": [[1, 1], [2, 2]]}, {"image": "0", "box": [1, 1, 5, 5]}]
    segmenter = ExactSegmenter()
    job(images, tmp_path / "out", segmenter=segmenter, prompts=[*clicks, *others])
    asked = [(multimask, prompts.object_valid.shape[1]) for prompts, multimask in segmenter.decoded]
    assert sorted(asked) == [(False, 1), (False, 1), (True, 2)]


def test_images_without_prompts_are_automatic_if_asked(images: Path, tmp_path: Path) -> None:
    truth = read_picture(images / "0.png")
    prompts = [{"image": "0", "clicks": [centre(truth, 1)]}]
    tally = job(images, tmp_path / "out", prompts=prompts, without_prompts="automatic")
    assert (tally.inputs, tally.objects, tally.skipped) == (3, 1 + 6, 0)


def test_a_detector_scores_its_masks_and_images_without_a_box_count_as_empty(images: Path, tmp_path: Path) -> None:
    truth, annotations = [], []
    for number, name in enumerate(("0.png", "1.png", "empty.png"), start=1):
        labels = read_picture(images / name)
        truth.append({"id": number, "file_name": name, "height": 64, "width": 64})
        for value in np.unique(labels[labels > 0]):
            rows, columns = np.nonzero(labels == value)
            box = [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
            counts = encode_masks((labels == value)[None])[0].decode()
            shape = {"segmentation": {"size": [64, 64], "counts": counts}, "area": len(rows), "iscrowd": 0}
            annotations.append({"image_id": number, "category_id": 7, "bbox": box, "id": len(annotations) + 1, **shape})
    instances = {"images": truth, "annotations": annotations, "categories": [{"id": 7, "name": "disc"}]}
    (tmp_path / "instances.json").write_text(json.dumps(instances), encoding="utf-8")
    scored = [{**one, "score": 1 - place / 20} for place, one in enumerate(annotations) if one["image_id"] == 1]
    boxes = {"images": truth, "annotations": scored}  # categories by number, and no box in two of the images
    tally = job(images, tmp_path / "out", prompts=boxes, without_prompts="empty")
    assert (tally.inputs, tally.objects, tally.empty) == (3, 5, 2)
    found = read_coco(tmp_path / "out" / "coco.json")
    assert [one.score for one in found[0].objects] == [entry["score"] for entry in scored]
    again = read_coco_predictions(
        tmp_path / "out" / "coco.json", read_coco_dataset(tmp_path / "instances.json"), ignore_categories=False
    )
    assert [len(image.objects) for image in again] == [5, 0, 0]
    assert {one.category for one in again[0].objects} == {"disc"}


def test_an_image_that_cannot_be_used_does_not_stop_the_others(images: Path, tmp_path: Path) -> None:
    (images / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"2 inputs segmented, 6 objects; 1 without an object; 1 failed: .*0\.png"):
        job(images, tmp_path / "out")
    assert (tmp_path / "out" / "1.json").is_file()


def test_prompts_outside_of_an_image_fail_that_image_alone(images: Path, tmp_path: Path) -> None:
    prompts = [{"image": "0", "clicks": [[70, 3]]}, {"image": "1", "clicks": [[3, 3]]}]
    with pytest.raises(DataError, match=r"object 1: click \(70, 3\) lies outside of the image of 64 x 64 pixels"):
        job(images, tmp_path / "out", prompts=prompts)
    assert (tmp_path / "out" / "1.json").is_file()


def test_what_is_finished_is_not_made_again(images: Path, tmp_path: Path) -> None:
    job(images, tmp_path / "out")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("?.json")}
    segmenter = ExactSegmenter()
    tally = job(images, tmp_path / "out", segmenter=segmenter)
    assert (tally.inputs, tally.done_before, segmenter.encoded) == (0, 3, 0)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("?.json")} == times


def test_a_killed_run_goes_on_and_loses_no_finished_image(images: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        job(images, tmp_path / "out", segmenter=ExactSegmenter(fails_at=3))
    assert sorted(path.stem for path in (tmp_path / "out" / "records").iterdir()) == ["0", "1"]
    segmenter = ExactSegmenter()
    tally = job(images, tmp_path / "out", segmenter=segmenter)
    assert (tally.done_before, tally.inputs, segmenter.encoded) == (2, 1, 1)
    assert len(read_coco(tmp_path / "out" / "coco.json")) == 3


def changed_image(images: Path, output: Path) -> dict[str, Any]:
    picture(images / "1.png", discs(64, 64, count=3, seed=9, largest=8))
    return {}


def lost_mask(images: Path, output: Path) -> dict[str, Any]:
    (output / "1.json").unlink()
    return {}


def cut_mask(images: Path, output: Path) -> dict[str, Any]:
    (output / "1.json").write_text("{")
    return {}


def damaged_record(images: Path, output: Path) -> dict[str, Any]:
    (output / "records" / "1.json").write_text("{")
    return {}


@pytest.mark.parametrize("change", [changed_image, lost_mask, cut_mask, damaged_record])
def test_what_is_stale_or_damaged_is_made_again(
    images: Path, tmp_path: Path, change: Callable[[Path, Path], dict[str, Any]]
) -> None:
    job(images, tmp_path / "out")
    tally = job(images, tmp_path / "out", **change(images, tmp_path / "out"))
    assert (tally.inputs, tally.done_before) == (1, 2)
    assert len(read_coco(tmp_path / "out" / "coco.json")) == 3


@pytest.mark.parametrize("other", [{"weights": "others"}, {"formats": ("tiff",)}, {"join_iou": 0.7}])
def test_another_model_format_or_setting_makes_all_again(images: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    job(images, tmp_path / "out")
    assert job(images, tmp_path / "out", **other).inputs == 3


def test_other_prompts_make_only_their_image_again(images: Path, tmp_path: Path) -> None:
    prompts = [{"image": name, "clicks": [[3, 3]]} for name in ("0", "1")]
    job(images, tmp_path / "out", prompts=prompts)
    prompts[1]["clicks"] = [[4, 4]]
    tally = job(images, tmp_path / "out", prompts=prompts)
    assert (tally.inputs, tally.done_before) == (1, 1)


def test_an_output_folder_with_files_of_others_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds files that adapt predict has not written"):
        job(images, images)
    assert sorted(path.name for path in images.iterdir()) == ["0.png", "1.png", "empty.png"]


def test_an_input_of_another_kind_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"recipe is of kind medical and reads volumes .* this is none.*--recipe NAME"):
        job(images / "0.png", tmp_path / "out", data=VOLUMES)
    with pytest.raises(DataError, match="this holds none"):
        job(images.parent, tmp_path / "out")
    with pytest.raises(DataError, match="no such file or folder"):
        job(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_that_does_not_fit_is_refused_before_anything_is_encoded(images: Path, tmp_path: Path) -> None:
    segmenter = ExactSegmenter()
    with pytest.raises(DataError, match="cannot be written as nifti; --format of this input: coco, tiff"):
        job(images / "0.png", tmp_path / "out", formats=("nifti",), segmenter=segmenter)
    assert not segmenter.encoded


def test_labels_widen_with_the_number_of_objects(images: Path, tmp_path: Path) -> None:
    truth = read_picture(images / "0.png")
    prompts = [{"image": "0", "clicks": [[0, 0]]}] * 299 + [{"image": "0", "clicks": [centre(truth, 1)]}]
    job(images, tmp_path / "out", prompts=prompts, formats=("tiff",))
    labels = tifffile.imread(tmp_path / "out" / "0.tif")
    assert labels.dtype == np.uint16 and (labels == 300 * (truth == 1)).all()


def test_tiled_planes_are_whole_and_keep_the_pixel_size(tmp_path: Path) -> None:
    truth = discs(150, 190, count=60, seed=3, largest=16)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(
        tmp_path / "images" / "a.ome.tif", truth, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    )
    tally = job(tmp_path / "images", tmp_path / "out", data=PLANES, overview=True)
    assert tally.objects == 60
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as file:
        assert same_partition(file.asarray(), truth)
        assert [round(value) for value in file.pages[0].resolution] == [20_000, 40_000]  # pixels a centimetre
    with Image.open(tmp_path / "out" / "overview" / "a.png") as overview:
        assert overview.size == (190 * 2, 150 * 2)
    assert not (tmp_path / "out" / "work").exists()


def test_a_killed_tiled_run_does_not_segment_its_tiles_again(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png", discs(150, 190, count=60, seed=3, largest=16))
    first, second, straight = ExactSegmenter(fails_at=6), ExactSegmenter(), ExactSegmenter()
    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "images", tmp_path / "out", data=PLANES, segmenter=first)
    job(tmp_path / "images", tmp_path / "out", data=PLANES, segmenter=second)
    job(tmp_path / "images", tmp_path / "straight", data=PLANES, segmenter=straight)
    assert second.encoded == straight.encoded - 5
    both = [tifffile.imread(tmp_path / name / "a.tif") for name in ("out", "straight")]
    assert (both[0] == both[1]).all()


def test_prompts_in_a_large_image_are_asked_around_where_they_lie(tmp_path: Path) -> None:
    truth = discs(150, 190, count=60, seed=3, largest=16)
    picture(tmp_path / "images" / "a.png", truth)
    prompts = [{"clicks": [centre(truth, value)]} for value in range(60, 0, -1)]
    segmenter = ExactSegmenter()
    tally = job(tmp_path / "images" / "a.png", tmp_path / "out", data=PLANES, prompts=prompts, segmenter=segmenter)
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    assert tally.objects == 60 and segmenter.encoded < 30
    assert (labels == np.where(truth > 0, 61 - truth.astype(int), 0)).all()


def test_planes_of_a_stack_are_labelled_one_by_one_and_numbered_through(tmp_path: Path) -> None:
    stack = np.stack([discs(64, 64, count=count, seed=count, largest=9) for count in (2, 3)])
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "ZYX"}, photometric="minisblack")
    data = PLANES.model_copy(update={"z": "all"})
    job(tmp_path / "a.tif", tmp_path / "out", data=data)
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    assert labels.shape == (2, 64, 64) and set(np.unique(labels)) == set(range(6))
    assert all(same_partition(one, truth) for one, truth in zip(labels, stack, strict=True))


def volume(path: Path, voxels: npt.NDArray[np.uint8]) -> Path:
    """A NIfTI file whose axes point right, posterior and inferior, as few of those of `Volume` do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    like = normalise_orientation(
        np.zeros(voxels.shape[::-1], dtype=np.uint8), np.diag([2.0, -2.0, -3.0, 1.0]), source=path
    )
    write_nifti(path, voxels, like=like)
    return path


def ellipsoids() -> npt.NDArray[np.uint8]:
    """(12, 64, 64): one of value 200 in slices 2 to 9, one of value 100 in all slices."""
    z, y, x = np.ogrid[:12, :64, :64]
    voxels = np.zeros((12, 64, 64), dtype=np.uint8)
    voxels[((z - 5.5) / 4.4) ** 2 + ((y - 20) / 11) ** 2 + ((x - 18) / 9) ** 2 <= 1] = 200
    voxels[np.broadcast_to((y - 45) ** 2 + (x - 40) ** 2 <= 64, voxels.shape)] = 100
    return voxels


PROMPTS = [
    {"clicks": [[18, 20]], "slice": 5, "category": "liver"},
    {"box": [32, 37, 48, 53], "slice": 2, "category": "spleen"},
]


def test_a_prompt_on_a_slice_is_followed_through_the_volume(tmp_path: Path) -> None:
    path = volume(tmp_path / "scans" / "p1.nii.gz", ellipsoids())
    job(path, tmp_path / "out", data=VOLUMES, prompts=PROMPTS, follow=True, propagate={"area_jump": 4.0})
    written, given = read_nifti(tmp_path / "out" / "p1.nii.gz"), read_nifti(path)
    expected = np.choose(np.searchsorted([0, 100, 200], ellipsoids()), [0, 2, 5])  # the recipe's label values
    assert (written.voxels == expected).all() and written.voxels.dtype == np.uint8
    assert np.allclose(written.stored_affine, given.stored_affine)
    assert nibabel.load(tmp_path / "out" / "p1.nii.gz").shape == nibabel.load(path).shape
    rows = json.loads((tmp_path / "out" / "records" / "p1.json").read_text())["objects"]
    assert rows[0]["slices"] == [2, 9] and rows[1]["slices"] == [0, 11]
    assert rows[0]["ended"] == ["slice 10: the mask is empty", "slice 1: the mask is empty"] and not rows[1]["ended"]


def test_a_prompt_on_a_slice_that_is_empty_there_begins_nothing_and_is_told(tmp_path: Path) -> None:
    path = volume(tmp_path / "p1.nii.gz", ellipsoids())
    nowhere = {"clicks": [[1, 1]], "slice": 0}
    tally = job(path, tmp_path / "both", data=VOLUMES, prompts=[nowhere, PROMPTS[0]], follow=True)
    assert tally.objects == 1
    empty, found = json.loads((tmp_path / "both" / "records" / "p1.json").read_text())["objects"]
    assert empty["pixels"] == 0 and empty["slices"] is None and found["pixels"] > 0
    console = Console(file=io.StringIO())
    tally = job(path, tmp_path / "alone", data=VOLUMES, prompts=[nowhere], follow=True, console=console)
    assert tally.empty == 1 and "see that they lie on an object" in console.file.getvalue()
    assert not read_nifti(tmp_path / "alone" / "p1.nii.gz").voxels.any()


@pytest.mark.parametrize(
    ("prompt", "fault"),
    [
        ({"clicks": [[30, 30]], "slice": 12}, "slice 12 is not there; the image has 0 to 11"),
        ({"clicks": [[64, 30]], "slice": 3}, "lies outside"),
        ({"box": [70, 70, 90, 90], "slice": 3}, "lies outside"),
        ({"clicks": [[30, 30]]}, "names no slice; the image has 12"),
    ],
)
def test_a_prompt_outside_of_the_volume_is_refused_before_anything_is_encoded(
    tmp_path: Path, prompt: dict[str, Any], fault: str
) -> None:
    path, segmenter = volume(tmp_path / "p1.nii.gz", ellipsoids()), ExactSegmenter()
    with pytest.raises(DataError, match=fault):
        job(path, tmp_path / "out", data=VOLUMES, prompts=[prompt], follow=True, segmenter=segmenter)
    assert segmenter.encoded == 0 and not (tmp_path / "out" / "p1.nii.gz").exists()


def test_volumes_without_prompts_are_automatic_beside_those_that_are_followed(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        volume(tmp_path / "scans" / f"{name}.nii.gz", ellipsoids())
    prompts = [{**prompt, "image": "p1"} for prompt in PROMPTS]
    job(tmp_path / "scans", tmp_path / "out", data=VOLUMES, prompts=prompts, follow=True, without_prompts="automatic")
    assert (read_nifti(tmp_path / "out" / "p2.nii.gz").voxels > 0).tolist() == (ellipsoids() > 0).tolist()


def test_without_propagate_only_the_prompted_slices_are_labelled(tmp_path: Path) -> None:
    path = volume(tmp_path / "p1.nii.gz", ellipsoids())
    segmenter = ExactSegmenter()
    job(path, tmp_path / "out", data=VOLUMES, prompts=PROMPTS, segmenter=segmenter)
    labels = read_nifti(tmp_path / "out" / "p1.nii.gz").voxels
    assert [int(value) for value in np.flatnonzero(labels.any((1, 2)))] == [2, 5] and segmenter.encoded == 2


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_slices_of_another_plane_come_back_to_their_place(tmp_path: Path, plane: str) -> None:
    z, y, x = np.ogrid[:64, :64, :64]
    voxels = (((z - 40) / 12) ** 2 + ((y - 20) / 8.7) ** 2 + ((x - 28) / 6.7) ** 2 <= 1) * np.uint8(200)
    path = volume(tmp_path / "p1.nii.gz", voxels)
    data = VOLUMES.model_copy(update={"plane": plane})
    # superior is on top of these planes, so row 63 - z
    click = [[28, 23]] if plane == "coronal" else [[20, 23]]
    prompts = [{"clicks": click, "slice": 20 if plane == "coronal" else 28}]
    job(path, tmp_path / "out", data=data, prompts=prompts, follow=True, propagate={"area_jump": 9.0})
    assert (read_nifti(tmp_path / "out" / "p1.nii.gz").voxels == (voxels > 0)).all()


def test_a_dicom_series_gets_a_dicom_seg(tmp_path: Path) -> None:
    from adapt.datamodules.generated.ct_dicom import write_ct_phantom_dicom

    write_ct_phantom_dicom(tmp_path / "phantom")
    series = tmp_path / "phantom" / "images" / "patient_00"
    prompts = [{"clicks": [[40, 45]], "slice": 10, "category": "liver"}]
    data = VOLUMES.model_copy(update={"intensity": HuWindow(kind="hu_window", windows=["soft_tissue"])})
    job(series, tmp_path / "out", data=data, prompts=prompts)
    segments = read_dicom_seg(tmp_path / "out" / "patient_00.dcm", like=read_dicom_series(series))
    assert list(segments.names.values()) == ["liver"] and segments.layers[0][10].any()


@pytest.mark.parametrize(
    ("source", "prompts", "fault"),
    [
        ("0.png", [{"clicks": [[1, 1]]}], "this input has one; leave it out"),
        ("0.png", None, "--propagate follows objects that are prompted on one slice; give --prompts"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    images: Path, tmp_path: Path, source: str, prompts: object, fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        job(images / source, tmp_path / "out", prompts=prompts, follow=True)
