"""Frozen features in training and evaluation, and the command that fills and clears them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from counted_images import Encoded
from safetensors.torch import load_file
from transformers.models.sam.modeling_sam import SamPatchEmbeddings

from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom
from adapt.features import kept_entries, prefixes
from adapt.features.entries import read_entry

SMALL = [
    "trainer.epochs=4",
    "trainer.min_steps=0",
    "trainer.batch_size=8",
    "trainer.workers=0",
    "prompts.corrections=0",
    "prompts.idle_rounds=0",
    "evaluation.bootstrap_samples=200",
    "evaluation.gallery=0",
    "evaluation.gallery_every=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
    "augment.noise=1.0",  # so that no view is another
    "features.views=2",
]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "scans"
    write_phantom(folder, patients=4, seed=1)
    return folder


def _arguments(scans: Path, folder: Path, *more: str) -> list[str]:
    return [
        "--recipe",
        "quickstart",
        f"data.root={scans}",
        f"cache={folder / 'cache'}",
        f"output={folder}",
        *SMALL,
        *more,
    ]


def _fit(scans: Path, folder: Path, *more: str) -> Path:
    assert main(["fit", *_arguments(scans, folder, *more)]) == 0
    return max((folder / "quickstart").iterdir(), key=lambda run: run.stat().st_mtime_ns)


def _images(run: Path) -> dict[str, int]:
    splits = json.loads((run / "splits.json").read_bytes())
    rows = 20  # slices with objects of each patient of this phantom
    return {name: rows * len(groups) for name, groups in splits.items()}


@pytest.mark.slow
def test_the_encoder_runs_once_an_image_and_view_and_a_second_run_never(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = Encoded(monkeypatch, SamPatchEmbeddings)
    first = _fit(scans, tmp_path)
    images = _images(first)
    assert encoded.count == 2 * images["train"] + images["validation"] + images["test"]
    encoded.count = 0
    second = _fit(scans, tmp_path)
    assert encoded.count == 0
    one, other = (load_file(run / "model" / "model.safetensors") for run in (first, second))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert main(["evaluate", str(first)]) == 0
    assert encoded.count == 0


@pytest.mark.slow
def test_without_the_cache_the_result_is_the_same_but_for_rounding(scans: Path, tmp_path: Path) -> None:
    # one view in all, as each epoch of a training without the cache draws another
    with_cache = _fit(scans, tmp_path, "augment.noise=0", "augment.rotate90=0")
    without = _fit(scans, tmp_path, "augment.noise=0", "augment.rotate90=0", "features.cache=false")
    (one, other) = (json.loads((run / "results.json").read_bytes())["protocols"] for run in (with_cache, without))
    for protocol in one:
        assert one[protocol]["tuned"]["miou"] == pytest.approx(other[protocol]["tuned"]["miou"], abs=0.01)


@pytest.mark.slow
def test_a_warm_cache_is_all_that_a_fit_needs(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encoded = Encoded(monkeypatch, SamPatchEmbeddings)
    assert main(["cache", "warm", *_arguments(scans, tmp_path)]) == 0
    assert capsys.readouterr().out.startswith(f"{encoded.count:,} images encoded, 0 were there")
    encoded.count = 0
    _fit(scans, tmp_path)
    assert encoded.count == 0
    assert main(["cache", "warm", *_arguments(scans, tmp_path)]) == 0
    assert encoded.count == 0


@pytest.mark.slow
def test_two_runs_warm_one_cache_at_once_and_one_that_is_killed_harms_nothing(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warm = ["cache", "warm", *_arguments(scans, tmp_path, "features.views=2")]
    assert main(["data", "prepare", *_arguments(scans, tmp_path)]) == 0

    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "adapt", *warm], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def entries() -> list[Path]:  # in their places: who is killed while writing leaves a hidden file beside them
        return [entry.path for entry in kept_entries(tmp_path / "cache") if not entry.path.name.startswith(".")]

    killed = begun()
    while killed.poll() is None and not entries():
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert entries()
    for warming in [begun(), begun()]:
        out, err = warming.communicate(timeout=600)
        assert warming.returncode == 0 and "images encoded" in out, err
    assert all(read_entry(path) is not None for path in entries())
    capsys.readouterr()
    assert main(warm) == 0
    assert capsys.readouterr().out.startswith("0 images encoded")


def test_warming_what_cannot_be_kept_is_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "warm", *_arguments(scans, tmp_path, "tuning.mode=full")]) == 2
    assert "no frozen features to keep" in capsys.readouterr().err
    assert main(["cache", "warm", *_arguments(scans, tmp_path, "features.limit_gb=1e-6")]) == 2
    assert "Raise features.limit_gb" in capsys.readouterr().err


def test_the_plan_says_what_will_be_kept_and_keeps_nothing(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--dry-run", *_arguments(scans, tmp_path)]) == 0
    assert "features    kept behind stage 9 of 9 of the encoder: " in capsys.readouterr().err
    assert list(prefixes(tmp_path / "cache")) == []
    assert main(["fit", "--dry-run", *_arguments(scans, tmp_path, "tuning.mode=full")]) == 0
    assert "features    none: the image encoder trains from its first layer on" in capsys.readouterr().err
    assert main(["fit", "--dry-run", *_arguments(scans, tmp_path, "features.cache=false")]) == 0
    assert "features    not kept: features.cache is false" in capsys.readouterr().err


def test_info_and_clear(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = tmp_path / "cache"
    assert main(["cache", "info", "--cache", str(cache)]) == 0
    assert "no features are kept" in capsys.readouterr().out
    assert main(["cache", "warm", *_arguments(scans, tmp_path)]) == 0
    capsys.readouterr()
    assert main(["cache", "info", "--cache", str(cache)]) == 0
    text = capsys.readouterr().out
    count = len(list(kept_entries(cache)))
    assert "adapt:tiny" in text and "9 of 9" in text and f"{count:,}" in text
    assert main(["cache", "clear", "--cache", str(cache), "--unused-days", "1"]) == 0
    assert capsys.readouterr().out.startswith("0 entries removed")
    assert main(["cache", "clear", "--cache", str(cache)]) == 0
    assert capsys.readouterr().out.startswith(f"{count:,} entries removed")
    assert list(kept_entries(cache)) == []
