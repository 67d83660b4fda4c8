"""Whole runs through the command line: what is forgotten, when training ends for it, and mixes of both models."""

import csv
import json
from pathlib import Path

import pytest
import torch
from transformers import SamModel

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom
from adapt.segmenters import load_segmenter

pytestmark = pytest.mark.slow

SMALL = [
    "trainer.epochs=2",
    "trainer.batch_size=8",
    "trainer.workers=0",
    "evaluation.bootstrap_samples=200",
    "evaluation.gallery=0",
    "evaluation.following_images=3",
    "evaluation.retention.images=3",
    "evaluation.automatic.images=0",
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    write_phantom(folder / "scans", patients=4, seed=1)
    return folder


def _fit(workplace: Path, name: str, *more: str) -> Path:
    places = [f"data.root={workplace}/scans", f"cache={workplace}/cache", f"output={workplace}/{name}"]
    assert main(["fit", "--recipe", "quickstart", *places, *SMALL, *more]) == 0
    (folder,) = (workplace / name / "quickstart").iterdir()
    return folder


@pytest.fixture(scope="module")
def run(workplace: Path) -> Path:
    return _fit(workplace, "runs")


def _newest(run: Path) -> Path:
    return max((run / "evaluations").iterdir(), key=lambda folder: folder.stat().st_mtime_ns)


def _same(one: Path, weights: dict[str, torch.Tensor]) -> bool:
    loaded = SamModel.from_pretrained(one).state_dict()
    return loaded.keys() == weights.keys() and all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_a_fit_says_what_was_forgotten_and_whether_prompts_matter(run: Path) -> None:
    results = json.loads((run / "results.json").read_bytes())
    assert results["retention"]["data"] == "adapt:shapes_folder"
    assert results["retention"]["images"] == 3
    for figures in results["retention"]["protocols"].values():
        gain = figures["difference"]["miou"]
        assert gain == pytest.approx(figures["tuned"]["miou"] - figures["base"]["miou"])
    assert results["following"]["images"] <= 3
    for model in ("base", "tuned"):
        assert set(results["following"][model]["prompts"]) == {"one_click", "box"}
        assert results["protocols"]["box"][model]["shrinkage"]["small"].keys() == {"ratio", "halved"}


def test_what_was_forgotten_stands_under_the_table(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run)]) == 0
    text = capfd.readouterr().out
    assert "\ngeneral images: adapt:shapes_folder, 3 images: one click " in text
    assert (
        json.loads((_newest(run) / "results.json").read_bytes())["retention"]
        == json.loads((run / "results.json").read_bytes())["retention"]
    )


def test_both_checks_can_be_off(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    off = ["evaluation.following_images=0", "evaluation.retention.images=0"]
    assert main(["evaluate", str(run), *off]) == 0
    assert "general images" not in capfd.readouterr().out
    assert not {"following", "retention"} & json.loads((_newest(run) / "results.json").read_bytes()).keys()


def test_mixes_are_scored_from_the_untouched_to_the_tuned_model(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--interpolate", "0:1:0.5"]) == 0
    shown = capfd.readouterr().out
    assert "domain mIoU" in shown and "general mIoU" in shown
    folder = _newest(run)
    mixes = json.loads((folder / "interpolation.json").read_bytes())["mixes"]
    assert [mix["alpha"] for mix in mixes] == [0.0, 0.5, 1.0]
    results = json.loads((run / "results.json").read_bytes())
    for mix, model in ((mixes[0], "base"), (mixes[2], "tuned")):  # the ends are the models, to the last bit
        for name in ("one_click", "box"):
            assert mix["domain"][name] == results["protocols"][name][model]["miou"]
            assert mix["general"][name] == results["retention"]["protocols"][name][model]["miou"]
    rows = list(csv.DictReader((folder / "interpolation.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["domain_miou"]) for row in rows] == [mix["domain_miou"] for mix in mixes]
    assert not (folder / "model").exists()


@pytest.mark.parametrize("alpha", ["0", "1", "0.3"])
def test_the_chosen_mix_is_a_model_that_transformers_loads(run: Path, alpha: str) -> None:
    assert main(["evaluate", str(run), "--interpolate", "0:1:1", "--write-mix", alpha]) == 0
    folder = _newest(run)
    base = load_segmenter("adapt:tiny").model.state_dict()  # type: ignore[attr-defined]
    tuned = SamModel.from_pretrained(run / "model").state_dict()
    share = float(alpha)
    wanted = {0.0: base, 1.0: tuned}.get(share) or {
        name: torch.lerp(base[name], tuned[name], share) if base[name].is_floating_point() else base[name]
        for name in base
    }
    assert _same(folder / "model", wanted)
    alphas = [mix["alpha"] for mix in json.loads((folder / "interpolation.json").read_bytes())["mixes"]]
    assert alphas == sorted({0.0, share, 1.0})
    assert main(["evaluate", "--recipe", "quickstart", f"model.checkpoint={folder / 'model'}", "--print-config"]) == 0


def test_training_ends_when_too_much_is_forgotten(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The rate is so high that the decoder's random answers, which cover something, are gone after one epoch."""
    folder = _fit(
        workplace, "stopped", "trainer.stop_forgetting=0.0", "optimizer.learning_rate=0.1", "optimizer.warmup_steps=0"
    )
    said = " ".join(capfd.readouterr().err.split())
    assert "stopped after epoch 1: the mIoU on general images has fallen from" in said
    assert "no epoch kept within trainer.stop_forgetting" in said
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any("val/general_miou" in line for line in lines)
