"""A prompt on a frame of a slice is followed through time into a 4D NIfTI, and scored over the labelled frames."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import torch
from exact_segmenter import ExactSegmenter
from rich.console import Console
from small_families import small_segmenter

from adapt.errors import DataError
from adapt.jobs.propagation import followable
from adapt.labelling.pictures import places_of
from adapt.predict import Model, Request, predict
from adapt.predict.inputs import find_inputs
from adapt.predict.opening import open_input
from adapt.predict.volume_dice import VolumeDice, volume_dice
from adapt.recipe import GenerateSettings, HuWindow, MedicalData, PredictSettings

SLICES, FRAMES = 3, 6
AFFINE = np.array([[-1.4, 0.1, 0.2, 7.0], [0.1, -1.5, 0.3, -9.0], [0.1, 0.1, 8.0, 3.0], [0, 0, 0, 1.0]])
"""Columns to the left, rows to the back, slices upwards, each a little aslant: slices are as they are stored."""
DATA = MedicalData(
    kind="medical",
    root="-",
    time="all",
    labels={"blood": 1, "muscle": 2},
    objects="label",
    intensity=HuWindow(kind="hu_window", windows=[[0, 255]]),
)


def heart() -> npt.NDArray[np.uint8]:
    """(64, 64, z, t): blood of 100 in all frames of the two lower slices, muscle of 200 in frames 1 to 3 of slice 1."""
    cine = np.zeros((64, 64, SLICES, FRAMES), dtype=np.uint8)
    for time in range(FRAMES):
        cine[8:20, 4 + 3 * time : 16 + 3 * time, :2, time] = 100
        if 1 <= time <= 3:
            cine[40:52, 40:52, 1, time] = 200
    return cine


def labels() -> npt.NDArray[np.uint8]:
    return heart() // 100


def write(path: Path, values: npt.NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, AFFINE)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 33.5
    nibabel.save(image, path)
    return path


def model(segmenter: Any = None, *, memory: bool = True) -> Model:  # noqa: ANN401 - any segmenter
    settings = PredictSettings.model_validate({"propagate": {"absent_slices": 100, "memory": memory}})
    return Model(segmenter or ExactSegmenter(), torch.device("cpu"), GenerateSettings(), settings)


def followed(
    source: Path,
    prompts: str,
    *,
    formats: tuple[str, ...] = (),
    name: str = "prompts.csv",
    by: Model | None = None,
    data: MedicalData = DATA,
) -> Path:
    """The folder that is written."""
    file = source.parent / name
    file.write_text(prompts, encoding="utf-8")
    output = source.parent / "out"
    request = Request(source, output, file, formats, follow=True, overview=True)
    console = Console(file=io.StringIO())
    predict(request, by or model(), data, about={"model": {"weights": "w"}}, console=console)
    return output


BY_CSV = "slice,frame,category,x,y\n1,2,blood,14,15\n1,3,muscle,45,45\n0,5,blood,14,25\n"
BY_JSON = json.dumps(
    [
        {"slice": 1, "frame": 2, "category": "blood", "clicks": [[14, 15]]},
        {"slice": 1, "frame": 3, "category": "muscle", "box": [40, 40, 51, 51]},
        {"slice": 0, "frame": 5, "category": "blood", "clicks": [[14, 25]]},
    ]
)


@pytest.mark.parametrize(("name", "prompts"), [("prompts.csv", BY_CSV), ("prompts.json", BY_JSON)])
def test_a_prompt_is_followed_through_the_frames_of_its_slice_into_a_4d_nifti(
    tmp_path: Path, name: str, prompts: str
) -> None:
    source = write(tmp_path / "p1.nii.gz", heart())
    output = followed(source, prompts, name=name)
    before, after = nibabel.load(source), nibabel.load(output / "p1.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), labels())  # the uppermost slice has no prompt
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)
    np.testing.assert_allclose(after.header["pixdim"], before.header["pixdim"], atol=1e-6)
    assert after.header.get_xyzt_units() == ("mm", "msec") and after.header["pixdim"][4] == 33.5
    found = json.loads((output / "records" / "p1.json").read_text(encoding="utf-8"))["objects"]
    assert [(one["slice"], one["frame"], one["slices"], one["frames"]) for one in found] == [
        (1, 2, [1, 1], [0, 5]),
        (1, 3, [1, 1], [1, 3]),
        (0, 5, [0, 0], [0, 5]),
    ]
    assert [one["ended"] for one in found] == [[], ["frame 4: the mask is empty", "frame 0: the mask is empty"], []]


def test_a_memory_does_not_reach_into_the_next_slice(tmp_path: Path) -> None:
    """Followed alone or beside an object of another slice, each answer is the same."""
    by = model(small_segmenter("SAM 2 video"))
    random = np.random.default_rng(0).integers(0, 256, (64, 64, SLICES, FRAMES), dtype=np.uint8)
    of_slice = {0: "0,5,a,10,10,40,40\n", 1: "1,2,a,10,10,40,40\n"}
    found = {}
    for name, rows in (("0", of_slice[0]), ("1", of_slice[1]), ("both", of_slice[0] + of_slice[1])):
        source = write(tmp_path / name / "p1.nii.gz", random)
        output = followed(source, "slice,frame,object,x_min,y_min,x_max,y_max\n" + rows, by=by)
        found[name] = np.asarray(nibabel.load(output / "p1.nii.gz").dataobj)
    assert found["0"].any() and found["1"].any()
    assert not found["0"][:, :, 1:].any() and not found["1"][:, :, [0, 2]].any()
    np.testing.assert_array_equal(found["both"], found["0"] + 2 * found["1"])  # one name, but an object of each slice


@pytest.mark.parametrize("memory", [True, False])
def test_a_slice_through_time_is_answered_as_a_volume_whose_slices_are_its_frames(tmp_path: Path, memory: bool) -> None:
    random = np.random.default_rng(1).integers(0, 256, (64, 64, SLICES, FRAMES), dtype=np.uint8)
    by = model(small_segmenter("SAM 2 video"), memory=memory)
    cine, still = write(tmp_path / "cine" / "p1.nii.gz", random), tmp_path / "still" / "p1.nii.gz"
    still.parent.mkdir()
    nibabel.save(nibabel.Nifti1Image(random[:, :, 1], np.diag([-1.0, -1.0, 1.0, 1.0])), still)
    rows = [f"{time},a,{x},10,{x + 20},40\n" for time, x in ((2, 10), (4, 30))]
    columns = "frame,object,x_min,y_min,x_max,y_max\n"
    in_time = followed(cine, f"slice,{columns}" + "".join(f"1,{row}" for row in rows), by=by)
    data = DATA.model_copy(update={"time": None})
    in_depth = followed(still, columns + "".join(rows), by=by, data=data)
    found, expected = (np.asarray(nibabel.load(folder / "p1.nii.gz").dataobj) for folder in (in_time, in_depth))
    assert expected.any()
    np.testing.assert_array_equal(found[:, :, 1], expected)


def test_coco_names_slice_and_frame_of_each_mask(tmp_path: Path) -> None:
    output = followed(write(tmp_path / "p1.nii", heart()), BY_CSV, formats=("coco",))
    content = json.loads((output / "p1.json").read_text(encoding="utf-8"))
    places = {image["id"]: (image["slice"], image["frame"]) for image in content["images"]}
    assert list(places.values()) == [(z, t) for z in range(SLICES) for t in range(FRAMES)]
    assert {places[one["image_id"]]: one["area"] for one in content["annotations"] if one["object"] == 2} == {
        (1, time): 144 for time in (1, 2, 3)
    }
    with pytest.raises(DataError, match="cannot be written as nrrd; --format of this input: nifti, coco"):
        followed(write(tmp_path / "p1.nii", heart()), BY_CSV, formats=("nrrd",))


@pytest.mark.parametrize(
    ("prompts", "fault"),
    [
        ("x,y\n9,9\n", r"csv:2: the image has 3 slices with 6 frames each: give slice, 0 to 2, and frame, 0 to 5"),
        ("frame,x,y\n1,9,9\n", r"give slice, 0 to 2, and frame, 0 to 5"),
        ("slice,x,y\n1,9,9\n", r"give slice, 0 to 2, and frame, 0 to 5"),
        ("slice,frame,x,y\n3,0,9,9\n", r"csv:2: slice 3 is not there; the image has 0 to 2"),
        ("slice,frame,x,y\n2,6,9,9\n", r"csv:2: frame 6 is not there; the image has 0 to 5"),
        ("slice,frame,x,y\n2,0.5,9,9\n", r"csv:2: frame 0.5 is no whole number"),
        ("slice,frame,x,y\n2,0,64,9\n", r"csv:2: click \(64, 9\) lies outside"),
    ],
)
def test_a_prompt_that_names_no_frame_of_a_slice_is_refused(tmp_path: Path, prompts: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        followed(write(tmp_path / "p1.nii", heart()), prompts)


def test_one_slice_through_time_needs_a_frame_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "p1.nii", heart()[:, :, 1:2])
    for prompts in ("frame,category,x,y\n2,muscle,45,45\n", "slice,frame,category,x,y\n0,2,muscle,45,45\n"):
        output = followed(source, prompts)
        np.testing.assert_array_equal(
            np.asarray(nibabel.load(output / "p1.nii.gz").dataobj), 2 * (labels()[:, :, 1:2] == 2)
        )
    with pytest.raises(DataError, match="names a slice and a frame; the image has frames alone"):
        followed(source, "slice,frame,x,y\n1,2,45,45\n")


def test_everything_is_found_in_every_frame_without_a_prompt(tmp_path: Path) -> None:
    request = Request(write(tmp_path / "p1.nii", heart()), tmp_path / "out", None, (), follow=False, overview=False)
    predict(request, model(), DATA, about={"model": {"weights": "w"}}, console=Console(file=io.StringIO()))
    found = np.asarray(nibabel.load(tmp_path / "out" / "p1.nii.gz").dataobj)
    np.testing.assert_array_equal(found > 0, heart() > 0)
    assert len(np.unique(found)) - 1 == 2 * FRAMES + 3  # each frame by itself


def test_pictures_for_labelling_are_named_by_slice_and_frame(tmp_path: Path) -> None:
    (one,) = find_inputs(write(tmp_path / "p1.nii", heart()), DATA)
    with open_input(one, DATA) as opened:
        names = [place.name for place in places_of(one, opened)]
    assert len(set(names)) == SLICES * FRAMES and names[FRAMES + 2] == "p1_z0001_t0002.png"


# --------------------------------------------------------------------------------------------- scores


def scored(
    root: Path, truth: npt.NDArray[np.uint8], *, shown: npt.NDArray[np.uint8] | None = None, **changes: object
) -> list[VolumeDice]:
    write(root / "images" / "p1.nii", heart() if shown is None else shown)
    write(root / "labels" / "p1.nii", truth)
    data = DATA.model_copy(update={"root": str(root), **changes})
    (one,) = followable(data, cache=root).values()
    assert one.group == "p1"
    with one.open() as (opened, targets):
        return list(volume_dice("p1", opened, targets, {"base": model()}))


@pytest.mark.parametrize("objects", ["label", "component"])
@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_exact_answers_score_one_over_all_frames(tmp_path: Path, objects: str, plane: str) -> None:
    deep = np.zeros((64, 64, 64, FRAMES), dtype=np.uint8)  # a picture of the exact segmenter has 64 pixels a side
    deep[10:13, 20:30, 30:40], deep[50:53, 20:30, 30:40, 1:4] = 100, 200
    found = scored(tmp_path, deep // 100, shown=deep, objects=objects, plane=plane)
    assert all(one.dice == one.slice_dice == 1 for one in found)
    sides = {"axial": 10, "coronal": 10, "sagittal": 3}[plane]
    assert len({one.volume for one in found}) == {"axial": 10, "coronal": 10, "sagittal": 6}[plane]
    for structure, place in (("blood", (3, FRAMES)), ("muscle", (2, 3))):
        own = [one for one in found if (one.structure, one.prompt) == (structure, "box")]
        assert [(one.slice, one.slices) for one in own] == [place] * sides


@pytest.mark.parametrize("objects", ["label", "component"])
def test_frames_that_nobody_has_labelled_do_not_count(tmp_path: Path, objects: str) -> None:
    """Of frames 0, 2 and 5 the truth is known; blood moves by half its height between two of them, and stays one."""
    truth = labels()
    truth[..., [1, 3, 4]] = 0
    found = scored(tmp_path, truth, objects=objects)
    assert {(one.volume, one.structure, one.slice, one.slices) for one in found} == {
        ("p1/0000", "blood", 2, 3),
        ("p1/0001", "blood", 2, 3),
        ("p1/0001", "muscle", 2, 1),  # it is in frames 1 to 3
    }
    assert all(one.dice == one.slice_dice == 1 for one in found)
    truth[:, :, :, 5] = 0
    truth[0, 0, 2, 5] = 2  # somebody has looked at the frame, and in the others of its slices there is no blood
    worse = [one for one in scored(tmp_path, truth, objects=objects) if one.structure == "blood"]
    assert {round(one.dice, 9) for one in worse} == {round(2 * 2 / (3 + 2), 9)}


def test_the_prompts_of_a_table_are_read_back(tmp_path: Path) -> None:
    """Slice and frame of a record are those that a prompt names."""
    source = write(tmp_path / "p1.nii", heart())
    first = followed(source, BY_CSV)
    objects = json.loads((first / "records" / "p1.json").read_text(encoding="utf-8"))["objects"]
    memory = io.StringIO(newline="")
    writer = csv.writer(memory)
    writer.writerow(["slice", "frame", "category", "x_min", "y_min", "x_max", "y_max"])
    for one in objects:
        x, y, _ = one["prompt"]["clicks"][0]
        writer.writerow([one["slice"], one["frame"], one["category"], x - 1, y - 1, x + 1, y + 1])
    again = followed(source, memory.getvalue(), name="again.csv")
    np.testing.assert_array_equal(np.asarray(nibabel.load(again / "p1.nii.gz").dataobj), labels())
