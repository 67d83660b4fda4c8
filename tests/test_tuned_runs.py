"""Whole runs, through the command line, of modes that keep an adapter: fit, evaluate, mixes, merge, Ctrl-C."""

import json
import os
import signal
from pathlib import Path

import lightning
import pytest
import torch
from transformers import SamModel

from adapt.callbacks.progress import TrainingProgress
from adapt.cli import main
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe

pytestmark = pytest.mark.slow

SMALL = [
    "data.root=adapt:shapes_folder",
    "model.input_size=128",
    "trainer.epochs=1",
    "trainer.min_steps=0",
    "trainer.batch_size=4",
    "trainer.workers=0",
    "prompts.corrections=1",
    "prompts.idle_rounds=0",
    "evaluation.bootstrap_samples=200",
    "evaluation.gallery=0",
    "evaluation.gallery_every=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
]
MODES = {
    "lora": ["tuning.mode=lora", "tuning.rank=4", "tuning.blocks=half", "tuning.dropout=0.1"],
    "adapter": ["tuning.mode=adapter", "tuning.width=8", "tuning.blocks=2", "tuning.decoder=false"],
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workplace")


def fit(workplace: Path, mode: str, *more: str) -> tuple[int, Path]:
    output = workplace / mode
    code = main(
        ["fit", "--recipe", "folder", *SMALL, f"cache={workplace}/cache", f"output={output}", *MODES[mode], *more]
    )
    (folder,) = (output / "folder").iterdir()
    return code, folder


@pytest.fixture(scope="module")
def runs(workplace: Path) -> dict[str, Path]:
    """The folder of one finished fit of each mode."""
    found = {}
    for mode in MODES:
        code, found[mode] = fit(workplace, mode)
        assert code == 0
    return found


def figures(folder: Path) -> object:
    return json.loads((folder / "results.json").read_bytes())["protocols"]


def test_a_run_keeps_the_adapter_and_no_model(runs: dict[str, Path]) -> None:
    for folder in runs.values():
        assert (folder / "adapter" / "adapter.json").is_file()
        assert not (folder / "model").exists()
    kept = sum(path.stat().st_size for path in (runs["adapter"] / "adapter").iterdir())
    assert kept < 100_000
    assert "inserted in image encoder" in (runs["lora"] / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", MODES)
def test_evaluate_gives_the_figures_that_fit_gave(mode: str, runs: dict[str, Path]) -> None:
    assert main(["evaluate", str(runs[mode])]) == 0
    folder = min((runs[mode] / "evaluations").iterdir())
    assert figures(folder) == figures(runs[mode])


@pytest.mark.parametrize("mode", MODES)
def test_mixes_begin_at_the_untouched_model_and_end_at_the_tuned_one(mode: str, runs: dict[str, Path]) -> None:
    before = set((runs[mode] / "evaluations").glob("*"))
    assert main(["evaluate", str(runs[mode]), "--interpolate", "0:1:1", "--write-mix", "1"]) == 0
    (folder,) = set((runs[mode] / "evaluations").glob("*")) - before
    mixes = json.loads((folder / "interpolation.json").read_bytes())["mixes"]
    tuned = json.loads((runs[mode] / "results.json").read_bytes())["protocols"]
    for end, model in ((mixes[0], "base"), (mixes[-1], "tuned")):
        assert end["domain"]["box"] == pytest.approx(tuned["box"][model]["miou"], abs=1e-3)
    assert (folder / ("model" if mode == "lora" else "adapter")).is_dir()


def test_merged_it_is_a_checkpoint_that_transformers_reads(
    runs: dict[str, Path], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = workplace / "merged"
    assert main(["merge", str(runs["lora"]), "--output", str(output)]) == 0
    assert capsys.readouterr().out.strip() == str(output)
    merged = SamModel.from_pretrained(output, dtype=torch.float32).eval()
    tuned = load_tuned(load_recipe(runs["lora"] / "recipe.yaml"), runs["lora"]).model
    images = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[[20.0, 20.0, 80.0, 80.0]]])
    with torch.no_grad():
        one, other = (model(pixel_values=images, input_boxes=boxes).pred_masks for model in (merged, tuned))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert main(["merge", str(runs["lora"]), "--output", str(output)]) == 1
    assert "is there already" in capsys.readouterr().err


def test_networks_are_not_merged(runs: dict[str, Path], workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(runs["adapter"]), "--output", str(workplace / "never")]) == 1
    assert "activations of their own" in capsys.readouterr().err
    assert not (workplace / "never").exists()


def test_on_other_weights_than_it_was_trained_on_an_adapter_is_refused(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(runs["lora"]), "model.weights=random"]) == 1
    message = capsys.readouterr().err
    assert "stands on other weights" in message and "adapt:tiny" in message


def test_an_interrupted_run_keeps_the_adapter_so_far(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = TrainingProgress.on_train_epoch_start

    def press_ctrl_c(self: TrainingProgress, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)
        real(self, trainer, pl_module)

    monkeypatch.setattr(TrainingProgress, "on_train_epoch_start", press_ctrl_c)
    code, folder = fit(workplace / "stopped", "lora", "trainer.epochs=2")
    assert code == 130
    assert f"adapt evaluate {folder}" in capsys.readouterr().err
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert main(["evaluate", str(folder)]) == 0
