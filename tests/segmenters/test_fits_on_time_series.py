"""Time series through the command line: a memory is trained on clips of frames, scored, and follows a new series."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from safetensors.torch import load_file
from small_families import small_segmenter

from adapt.cli import main

pytestmark = pytest.mark.slow
FRAMES, SIDE = 6, 40
QUICK = [
    "clips.length=3",
    "data.time=all",
    "data.min_object_pixels=4",
    "preset=sam2",
    "loss.presence_weight=1",
    "prompts.corrections=1",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "trainer.batch_size=2",
    "trainer.workers=0",
    "trainer.accelerator=cpu",
    "features.dtype=float32",
    "split.test=0.25",
    "split.validation=0.25",
    "evaluation.protocols=[box]",
    "evaluation.bootstrap_samples=100",
    "evaluation.gallery=0",
    "evaluation.gallery_every=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small video model, and four series in which a cell moves and another one leaves, numbered anew by frame."""
    folder = tmp_path_factory.mktemp("series")
    small_segmenter("SAM 2 video").save(folder / "checkpoint")
    for kind in ("images", "masks"):
        (folder / "films" / kind).mkdir(parents=True)
    for series in range(4):
        labels = np.zeros((FRAMES, SIDE, SIDE), dtype=np.uint8)
        for time in range(FRAMES):
            labels[time, 4 + 2 * time : 16 + 2 * time, 6 + series : 20] = 1 + time
            labels[time, 28:36, 28:36] = (20 - time) * (time < 4)
        noise = np.random.default_rng(series).normal(0, 20, labels.shape)
        image = (500 * (labels > 0) + noise + 200).astype(np.uint16)
        for kind, values in (("images", image), ("masks", labels)):
            tifffile.imwrite(folder / "films" / kind / f"s{series}.ome.tif", values, metadata={"axes": "TYX"})
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """A run on them, whose cells are linked by overlap."""
    where = [f"model.checkpoint={place / 'checkpoint'}", f"cache={place / 'cache'}", f"output={place / 'runs'}"]
    data = [f"data.root={place / 'films'}", "data.label_folder=masks", "data.tracks=overlap", "data.category=cell"]
    assert main(["fit", "--recipe", "microscopy_nuclei", *data, *where, *QUICK]) == 0
    (folder,) = (place / "runs" / "microscopy_nuclei").iterdir()
    return folder


def test_the_memory_learns_from_clips_of_frames(run: Path, place: Path) -> None:
    before, after = (load_file(folder / "model.safetensors") for folder in (place / "checkpoint", run / "model"))
    moved = {name.split(".")[0] for name in before if not bool((before[name] == after[name]).all())}
    assert {"mask_decoder", "memory_attention", "memory_encoder"} <= moved and "vision_encoder" not in moved
    splits = json.loads((run / "splits.json").read_bytes())
    parts = [splits[part] for part in ("train", "validation", "test")]
    assert all(parts) and sorted(group for part in parts for group in part) == ["s0", "s1", "s2", "s3"]
    told = json.loads((run / "results.json").read_bytes())["protocols"]["box"]["tuned"]
    assert told["volumes"] is None  # frames fill no space


def test_evaluate_follows_each_cell_through_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--propagate"]) == 0
    assert "middle frame" in capsys.readouterr().out
    (table,) = run.rglob("propagation.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2  # cells, prompts and models: each cell is one, though its values change
    assert {(row["slices"], row["slice"]) for row in rows} == {("6", "3"), ("4", "2")}


def test_predict_follows_a_prompted_cell_and_writes_frames(run: Path, place: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "cells.csv"
    prompts.write_text("image,frame,x_min,y_min,x_max,y_max\ns1,2,7,8,19,19\n", encoding="utf-8")
    command = ["predict", str(run), str(place / "films" / "images"), "--output", str(tmp_path / "out")]
    assert main([*command, "--prompts", str(prompts), "--propagate"]) == 0
    with tifffile.TiffFile(tmp_path / "out" / "s1.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("TYX", (FRAMES, SIDE, SIDE))
    assert [path.name for path in (tmp_path / "out").glob("*.tif")] == ["s1.tif"]


def test_a_prompt_beyond_the_last_frame_is_one_clear_error(
    run: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "cells.csv"
    prompts.write_text("image,frame,x,y\ns1,6,7,8\n", encoding="utf-8")
    command = ["predict", str(run), str(place / "films" / "images"), "--output", str(tmp_path / "out")]
    assert main([*command, "--prompts", str(prompts), "--propagate"]) == 1
    assert "cells.csv:2: frame 6 is not there; the image has 0 to 5" in capsys.readouterr().err
