"""A prompt on a frame is followed through time: label TIFFs with a time axis, and scores over all frames."""

import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
import torch
from exact_segmenter import ExactSegmenter
from rich.console import Console

from adapt.errors import DataError, RecipeError
from adapt.formats.tiff import open_tiff
from adapt.jobs.propagation import check_ordered, followable
from adapt.predict import Model, Request, predict
from adapt.predict.volume_dice import VolumeDice, volume_dice
from adapt.predict.volume_table import print_dice
from adapt.recipe import FolderData, GenerateSettings, MicroscopyData, PredictSettings

FRAMES = 6
DATA = MicroscopyData(kind="microscopy", root="-", time="all", intensity=None, tile_size=64, tile_overlap=16)


def cells() -> npt.NDArray[np.uint8]:
    """(T, 64, 64): 100 moves down through all frames, 200 is there in frames 1 to 3."""
    frames = np.zeros((FRAMES, 64, 64), dtype=np.uint8)
    for time in range(FRAMES):
        frames[time, 4 + 3 * time : 16 + 3 * time, 8:20] = 100
        if 1 <= time <= 3:
            frames[time, 40:52, 40:52] = 200
    return frames


def write(path: Path, frames: npt.NDArray[np.uint8], *, axes: str = "TYX") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, frames, ome=True, photometric="minisblack", metadata={"axes": axes})
    return path


def model() -> Model:
    return Model(ExactSegmenter(), torch.device("cpu"), GenerateSettings(), PredictSettings())


def followed(source: Path, prompts: str, *, data: MicroscopyData = DATA, name: str = "prompts.csv") -> Path:
    """The folder that is written."""
    file = source.parent / name
    file.write_text(prompts, encoding="utf-8")
    output = source.parent / "out"
    request = Request(source, output, file, (), follow=True, overview=False)
    predict(request, model(), data, about={"model": {"weights": "w"}}, console=Console(file=io.StringIO()))
    return output


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("prompts.csv", "image,frame,x,y\na.ome.tif,2,14,15\na.ome.tif,3,45,45\n"),
        ("prompts.csv", "image,slice,x,y\na,2,14,15\na,3,45,45\n"),
        ("prompts.json", json.dumps([{"frame": 2, "clicks": [[14, 15]]}, {"frame": 3, "clicks": [[45, 45]]}])),
    ],
)
def test_a_prompt_on_a_frame_is_followed_through_time_into_a_label_tiff(
    tmp_path: Path, name: str, prompts: str
) -> None:
    output = followed(write(tmp_path / "a.ome.tif", cells()), prompts, name=name)
    with tifffile.TiffFile(output / "a.tif") as file:
        assert file.series[0].axes == "TYX"
        np.testing.assert_array_equal(file.asarray(), (cells() == 100) + 2 * (cells() == 200).astype(np.uint8))
    with open_tiff(output / "a.tif", max_pixels=10_000) as stack:  # what is predicted can be trained on
        assert (stack.axes, stack.length("T")) == ("TYX", FRAMES)
    one, other = json.loads((output / "records" / "a.json").read_text(encoding="utf-8"))["objects"]
    assert one["slices"] == [0, 5] and one["ended"] == []
    assert other["slices"] == [1, 3] and other["ended"] == ["frame 4: the mask is empty", "frame 0: the mask is empty"]


@pytest.mark.parametrize(
    ("prompts", "fault"),
    [
        ("frame,x,y\n6,14,15\n", r"prompts.csv:2: frame 6 is not there; the image has 0 to 5"),
        ("x,y\n14,15\n", r"prompts.csv:2: names no frame; the image has 6: give frame, 0 to 5"),
        ("frame,x,y\n-1,14,15\n", r"frame -1 is not there"),
        ("frame,slice,x,y\n1,1,14,15\n", r"prompts.csv:2: names a slice and a frame; the image has frames alone"),
    ],
)
def test_a_prompt_of_a_frame_that_is_not_there_is_refused(tmp_path: Path, prompts: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        followed(write(tmp_path / "a.ome.tif", cells()), prompts)


def test_a_prompt_that_names_a_frame_and_a_slice_is_refused(tmp_path: Path) -> None:
    prompts = json.dumps([{"frame": 2, "slice": 2, "clicks": [[14, 15]]}])
    with pytest.raises(DataError, match="object 1: names a slice and a frame; the image has frames alone: give frame"):
        followed(write(tmp_path / "a.ome.tif", cells()), prompts, name="prompts.json")


def test_what_has_no_time_or_is_cut_into_tiles_is_not_followed(tmp_path: Path) -> None:
    flat = write(tmp_path / "flat" / "a.ome.tif", cells()[0], axes="YX")
    with pytest.raises(DataError, match=r"has no time axis \(its axes are YX \(64, 64\)\)"):
        followed(flat, "frame,x,y\n0,14,15\n")
    small = DATA.model_copy(update={"tile_size": 32})
    with pytest.raises(DataError, match=r"looks at frames whole, and these of 64 x 64 pixels are cut into tiles"):
        followed(write(tmp_path / "a.ome.tif", cells()), "frame,x,y\n0,14,15\n", data=small)


def scored(root: Path, labels: npt.NDArray[np.uint8], **changes: object) -> list[VolumeDice]:
    write(root / "images" / "a.ome.tif", cells())
    write(root / "labels" / "a.ome.tif", labels)
    data = DATA.model_copy(update={"root": str(root), **changes})
    check_ordered(data)
    (one,) = followable(data, cache=root).values()
    assert one.group == "a"
    with one.open() as (opened, targets):
        return list(volume_dice("a", opened, targets, {"base": model()}))


def test_exact_answers_score_one_over_all_frames(tmp_path: Path) -> None:
    found = scored(tmp_path, cells())
    assert [(one.prompt, one.structure, one.slice, one.slices) for one in found] == [
        (prompt, "cell", *place) for prompt in ("one_click", "box") for place in ((3, 6), (2, 3))
    ]
    assert all(one.dice == one.slice_dice == 1 for one in found)


def test_objects_of_labels_numbered_anew_are_scored_by_overlap(tmp_path: Path) -> None:
    """The moving cell is 1 in even frames and 2 in odd ones: by value it would be two objects with gaps."""
    anew = np.stack([np.where(frame == 100, 1 + time % 2, 0) for time, frame in enumerate(cells())]).astype(np.uint8)
    by_value, by_overlap = scored(tmp_path / "value", anew), scored(tmp_path / "overlap", anew, tracks="overlap")
    assert len(by_value) == 4 and all(one.dice == pytest.approx(2 * 3 / (3 + 6)) for one in by_value)
    assert len(by_overlap) == 2 and all((one.dice, one.slices) == (1, 6) for one in by_overlap)


def test_the_table_speaks_of_frames() -> None:
    text = io.StringIO()
    scores = [
        VolumeDice("base", prompt, "a", "cell", 3, 6, dice=0.5, slice_dice=1.0) for prompt in ("one_click", "box")
    ]
    print_dice(scores, Console(file=text, width=120), named="frame")
    assert "Dice from one prompt on the middle frame" in text.getvalue() and "base, all frames" in text.getvalue()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (FolderData(kind="folder", root="-"), "but data.kind is folder"),
        (DATA.model_copy(update={"time": 0}), "choose one image of each; set data.time=all or data.z=all"),
        (DATA.model_copy(update={"split_by": "block"}), "data.split_by=block trains on a part of each"),
    ],
)
def test_data_without_an_order_are_refused(data: FolderData | MicroscopyData, fault: str) -> None:
    with pytest.raises(RecipeError, match=fault):
        check_ordered(data)


def test_series_that_would_be_cut_into_tiles_are_not_scored(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a: --propagate looks at frames whole"):
        scored(tmp_path, cells(), tile_size=32)
