"""Whole runs on clips through the command line: trained, stopped and resumed, read by transformers, scored, pushed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_families import small_segmenter
from transformers import Sam2VideoModel

from adapt.cli import main
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters import memory_of
from adapt.task import AdaptTask

pytestmark = pytest.mark.slow
QUICK = [
    "preset=sam2",
    "clips.length=3",
    "loss.presence_weight=1",
    "prompts.corrections=1",
    "trainer.epochs=2",
    "trainer.min_steps=0",
    "trainer.batch_size=2",
    "trainer.workers=0",
    "trainer.checkpoint_minutes=0",
    "trainer.accelerator=cpu",
    "features.dtype=float32",
    "features.views=2",
    "split.test=0.25",
    "split.validation=0.25",
    "evaluation.protocols=[box]",
    "evaluation.bootstrap_samples=100",
    "evaluation.gallery=0",
    "evaluation.gallery_every=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
]
Run = Callable[..., int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small video model, and four patients of eight slices with a block that moves and ends."""
    folder = tmp_path_factory.mktemp("clips")
    small_segmenter("SAM 2 video").save(folder / "checkpoint")
    for kind in ("images", "labels"):
        (folder / "scans" / kind).mkdir(parents=True)
    for patient in range(4):
        label = np.zeros((40, 40, 8), dtype=np.uint8)
        for index in range(8):
            label[5 + index + patient : 20 + index, 8:24, index] = 1
            label[26:38, 28:38, index] = 2 * (index < 5)
        noise = np.random.default_rng(patient).normal(0, 20, label.shape)
        for kind, voxels in (("images", (100.0 * label + noise).astype(np.int16)), ("labels", label)):
            nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(folder / "scans" / kind / f"p{patient}.nii.gz")
    return folder


def asked(place: Path, output: Path, *more: str) -> list[str]:
    data = f"data.root={place / 'scans'}"
    labels = "data.labels={block: 1, end: 2}"
    where = [f"model.checkpoint={place / 'checkpoint'}", f"cache={place / 'cache'}", f"output={output}"]
    return ["fit", "--recipe", "medical_ct", data, labels, *QUICK, *where, *more]


def only_run(output: Path) -> Path:
    (run,) = (output / "medical_ct").iterdir()
    return run


@pytest.fixture(scope="module")
def straight(place: Path) -> Path:
    """A run that was never stopped."""
    assert main(asked(place, place / "straight", "augment.rotate=0.5")) == 0
    return only_run(place / "straight")


def test_what_is_kept_is_a_stock_video_model_whose_decoder_and_memory_have_moved(straight: Path) -> None:
    stock = Sam2VideoModel.from_pretrained(straight / "model")
    tuned = load_tuned(load_recipe(straight / "recipe.yaml"), straight)
    before, after = small_segmenter("SAM 2 video").model.state_dict(), stock.state_dict()
    for name, value in tuned.model.state_dict().items():
        assert torch.equal(after[name], value), name
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"mask_decoder", "memory_attention", "memory_encoder", "object_pointer_proj"} <= moved
    assert not {"vision_encoder", "prompt_encoder", "no_memory_embedding", "mask_downsample"} & moved


def test_features_of_slices_are_kept_and_used(straight: Path, place: Path) -> None:
    entries = list((place / "cache").rglob("features/*/*/*.safetensors"))
    assert len(entries) >= 2 * 8 + 8  # 16 slices of two patients in each of two views, and those of validation


@pytest.mark.parametrize("step", [1, 4])
def test_a_run_that_crashed_goes_on_to_the_same_weights(
    straight: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    real, armed = AdaptTask.training_step, [True]

    def crashing(self: AdaptTask, *arguments: object) -> object:
        if armed and self.global_step == step:
            armed.clear()
            raise KeyboardInterrupt
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(AdaptTask, "training_step", crashing)
    assert main(asked(place, tmp_path, "augment.rotate=0.5")) != 0
    assert not armed and main(["fit", "--resume", str(only_run(tmp_path))]) == 0
    found, expected = (load_file(run / "model" / "model.safetensors") for run in (only_run(tmp_path), straight))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_evaluate_follows_each_structure_with_both_models(
    straight: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["evaluate", str(straight), "--propagate"]) == 0
    told = capsys.readouterr().out
    assert "base, 3D" in told and "tuned, 3D" in told
    (table,) = straight.rglob("propagation.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["model"], row["structure"]) for row in rows} == {
        (model, structure) for model in ("base", "tuned") for structure in ("block", "end")
    }
    assert all(0 <= float(row["dice"]) <= 1 for row in rows)


def test_lora_keeps_the_memory_beside_it_and_merges_into_a_stock_video_model(place: Path, tmp_path: Path) -> None:
    lora = ["tuning.mode=lora", "tuning.rank=2", "tuning.blocks=1", "trainer.epochs=1"]
    assert main(asked(place, tmp_path, *lora)) == 0
    run = only_run(tmp_path)
    assert (run / "adapter" / "memory.safetensors").is_file()
    tuned, before = load_tuned(load_recipe(run / "recipe.yaml"), run), small_segmenter("SAM 2 video")
    memory, untouched = memory_of(tuned), memory_of(before)
    assert memory is not None and untouched is not None
    moved = [not torch.equal(a, b) for a, b in zip(memory.parameters, untouched.parameters, strict=True)]
    assert sum(moved) > len(moved) / 2
    assert main(["merge", str(run), "--output", str(tmp_path / "merged")]) == 0
    stock = Sam2VideoModel.from_pretrained(tmp_path / "merged").state_dict()
    names = {id(parameter): name for name, parameter in tuned.model.named_parameters()}
    assert all(torch.equal(stock[names[id(parameter)]], parameter) for parameter in memory.parameters)
    assert not torch.equal(
        stock["vision_encoder.backbone.blocks.5.attn.qkv.weight"],
        before.model.state_dict()["vision_encoder.backbone.blocks.5.attn.qkv.weight"],
    )


def test_push_writes_the_whole_video_model_and_says_what_it_is(straight: Path, tmp_path: Path) -> None:
    output = tmp_path / "package"
    asked = ["push", str(straight), "--repo", "team/video", "--dry-run", "--pictures", "0", "--output", str(output)]
    assert main(asked) == 0
    pushed, own = (load_file(folder / "model.safetensors") for folder in (output, straight / "model"))
    assert pushed.keys() == own.keys() and all(torch.equal(pushed[name], value) for name, value in own.items())
    assert json.loads((output / "config.json").read_bytes())["model_type"] == "sam2_video"
    assert "Sam2VideoModel" in (output / "README.md").read_text(encoding="utf-8")
