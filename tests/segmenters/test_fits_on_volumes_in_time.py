"""Cine MR through the command line: a memory is trained on two labelled phases, scored, and follows all of them."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from safetensors.torch import load_file
from small_families import small_segmenter

from adapt.cli import main

pytestmark = pytest.mark.slow
SIDE, SLICES, FRAMES = 40, 3, 6
DIASTOLE, SYSTOLE = 0, 3
AFFINE = np.array([[-1.4, 0.1, 0.2, 7.0], [0.1, -1.5, 0.3, -9.0], [0.1, 0.1, 8.0, 3.0], [0, 0, 0, 1.0]])
QUICK = [
    "data.time=all",
    "data.objects=label",
    "data.min_object_pixels=4",
    "data.labels={blood: 1, muscle: 2}",
    "data.group_pattern=^(patient.)",
    "preset=sam2",
    "clips.length=2",
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


def beat(time: int) -> int:
    """How far the heart has contracted, pixels."""
    return 3 - abs(time - SYSTOLE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small video model, and four patients with two scans each, of which two of six frames are labelled."""
    folder = tmp_path_factory.mktemp("cine")
    small_segmenter("SAM 2 video").save(folder / "checkpoint")
    for patient in range(4):
        for scan in "ab":
            labels = np.zeros((SIDE, SIDE, SLICES, FRAMES), dtype=np.uint8)
            for time in range(FRAMES):
                labels[6 + beat(time) : 34 - beat(time), 8:30, :, time] = 2
                labels[12 + beat(time) : 28 - beat(time), 13:25, :2, time] = 1
            noise = np.random.default_rng(patient).normal(0, 10, labels.shape)
            image = (150 * (labels == 1) + 60 * (labels == 2) + noise + 40).astype(np.int16)
            labels[..., [time for time in range(FRAMES) if time not in (DIASTOLE, SYSTOLE)]] = 0
            for kind, values in (("images", image), ("labels", labels)):
                (folder / "scans" / kind).mkdir(parents=True, exist_ok=True)
                nifti = nibabel.Nifti1Image(values, AFFINE)
                nifti.header.set_xyzt_units("mm", "sec")
                nifti.header["pixdim"][4] = 0.041
                nibabel.save(nifti, folder / "scans" / kind / f"patient{patient}{scan}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    where = [f"model.checkpoint={place / 'checkpoint'}", f"cache={place / 'cache'}", f"output={place / 'runs'}"]
    assert main(["fit", "--recipe", "medical_mr", f"data.root={place / 'scans'}", *where, *QUICK]) == 0
    (folder,) = (place / "runs" / "medical_mr").iterdir()
    return folder


def test_the_memory_learns_from_one_labelled_phase_to_the_other(run: Path, place: Path) -> None:
    before, after = (load_file(folder / "model.safetensors") for folder in (place / "checkpoint", run / "model"))
    moved = {name.split(".")[0] for name in before if not bool((before[name] == after[name]).all())}
    assert {"mask_decoder", "memory_attention", "memory_encoder"} <= moved and "vision_encoder" not in moved
    splits = json.loads((run / "splits.json").read_bytes())
    parts = [splits[part] for part in ("train", "validation", "test")]
    assert all(parts) and sorted(group for part in parts for group in part) == [f"patient{n}" for n in range(4)]
    results = json.loads((run / "results.json").read_bytes())
    assert results["protocols"]["box"]["tuned"]["volumes"] is None  # frames fill no space


def test_evaluate_follows_each_slice_and_scores_the_labelled_frames(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--propagate"]) == 0
    assert "middle frame" in capsys.readouterr().out
    (table,) = run.rglob("propagation.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 + 3) * 2 * 2  # scans; slices with blood and with muscle; prompts; models
    (patient,) = json.loads((run / "splits.json").read_bytes())["test"]
    assert {row["volume"] for row in rows} == {f"{patient}{scan}/000{z}" for scan in "ab" for z in range(SLICES)}
    assert {(row["slice"], row["slices"]) for row in rows} == {(str(SYSTOLE), "2")}


def test_predict_follows_a_prompt_of_one_frame_and_writes_a_4d_nifti(run: Path, place: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "diastole.csv"
    rows = [f"patient1a,{z},{DIASTOLE},{name},8,8,30,30" for z in (0, 1) for name in ("blood", "muscle")]
    prompts.write_text(
        "\n".join(["image,slice,frame,category,x_min,y_min,x_max,y_max", *rows]) + "\n", encoding="utf-8"
    )
    source = place / "scans" / "images"
    command = ["predict", str(run), str(source), "--output", str(tmp_path / "out"), "--prompts", str(prompts)]
    assert main([*command, "--propagate", "predict.propagate.absent_slices=100"]) == 0
    before, after = nibabel.load(source / "patient1a.nii.gz"), nibabel.load(tmp_path / "out" / "patient1a.nii.gz")
    assert after.shape == before.shape == (SIDE, SIDE, SLICES, FRAMES)
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)
    np.testing.assert_allclose(after.header["pixdim"], before.header["pixdim"], atol=1e-6)
    assert after.header.get_xyzt_units() == ("mm", "sec")
    found = np.asarray(after.dataobj)
    assert set(np.unique(found)) <= {0, 1, 2} and found[:, :, :2, DIASTOLE].any() and not found[:, :, 2].any()
    record = json.loads((tmp_path / "out" / "records" / "patient1a.json").read_bytes())
    assert [(one["slice"], one["frame"], one["category"]) for one in record["objects"]] == [
        (z, DIASTOLE, name) for z in (0, 1) for name in ("blood", "muscle")
    ]
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["patient1a.nii.gz"]


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (np.ones((SIDE, SIDE, SLICES), dtype=np.uint8), "has labels of 1 frame, but p.nii.gz has 6"),
        (np.ones((SIDE, SIDE, SLICES, 2), dtype=np.uint8), "has labels of 2 frames, but p.nii.gz has 6"),
    ],
)
def test_labels_of_other_frames_are_one_clear_error(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: np.ndarray, fault: str
) -> None:
    for kind, values in (("images", np.ones((SIDE, SIDE, SLICES, FRAMES), dtype=np.int16)), ("labels", labels)):
        (tmp_path / kind).mkdir()
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), tmp_path / kind / "p.nii.gz")
    where = [f"model.checkpoint={place / 'checkpoint'}", f"cache={tmp_path / 'cache'}", f"output={tmp_path / 'runs'}"]
    assert main(["fit", "--recipe", "medical_mr", f"data.root={tmp_path}", *where, *QUICK]) == 1
    told = capsys.readouterr().err
    assert told.count(fault) == 1 and "Traceback" not in told
