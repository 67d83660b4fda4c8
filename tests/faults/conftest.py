"""A fit as small as it can be, on generated images; the counts of the suite, bounded or full."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapt import workflow
from adapt.cli import main

RECIPE = """\
model: {checkpoint: adapt:tiny, input_size: 64}
data: {kind: folder, root: adapt:shapes_folder}
split: {validation: 0.2, test: 0.1}
augment: {horizontal_flip: 0.5}
prompts: {corrections: 0, idle_rounds: 0}
optimizer: {learning_rate: 1e-3, warmup_steps: 2}
trainer: {epochs: 2, batch_size: 4, objects_per_image: 2, workers: 0, accelerator: cpu, checkpoint_minutes: 0}
evaluation: {gallery: 0, gallery_every: 1, following_images: 0, bootstrap_samples: 100, retention: {images: 0}}
"""
STEPS = 5
"""Of an epoch: 24 images, of which 5 are for validation and 2 for the test."""
Fit = Callable[..., int]


def soaked(bounded: int, full: int) -> int:
    """How often a fault is tried: in `make test`, and in `make soak`."""
    return full if "ADAPT_SOAK" in os.environ else bounded


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe `small.yaml`, and with the cache of all runs of the suite."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "small.yaml").write_text(f"{RECIPE}cache: {folder}/cache\n", encoding="utf-8")
    return folder


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end after training: what it left is what is looked at, and the evaluation would take longer."""
    monkeypatch.setattr(workflow, "compare", lambda *arguments, **more: None)


@pytest.fixture
def fit(place: Path, tmp_path: Path, untested: None) -> Fit:
    """Fit the small recipe in this process, or resume; the exit code."""

    def run(*overrides: str, resume: Path | str | None = None) -> int:
        chosen = [] if isinstance(resume, Path) else ["--recipe", str(place / "small.yaml"), f"output={tmp_path}/runs"]
        return main(["fit", *chosen, *([] if resume is None else ["--resume", str(resume)]), *overrides])

    return run


@pytest.fixture
def the_run(tmp_path: Path) -> Callable[[], Path]:
    """The folder of the only run there is."""

    def find() -> Path:
        (folder,) = (tmp_path / "runs" / "small").iterdir()
        return folder

    return find


@pytest.fixture(scope="session")
def straight(place: Path) -> Path:
    """A run that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "compare", lambda *arguments, **more: None)
        assert main(["fit", "--recipe", str(place / "small.yaml"), f"output={place}/straight"]) == 0
    (folder,) = (place / "straight" / "small").iterdir()
    return folder


def fingerprint(folder: Path) -> str:
    """Of a run's weights, all their bits."""
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def steps_logged(folder: Path) -> list[tuple[int, str]]:
    """Step of each line of the metrics, and the first of its names that is no epoch."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(line["step"], min(line.keys() - {"step", "epoch"})) for line in lines]


def strays(folder: Path) -> list[str]:
    """What a killed process may leave: half-written files, and checkpoints without their manifests."""
    hidden = [path.name for path in folder.rglob(".*")]
    checkpoints = [path for path in (folder / "checkpoints").iterdir() if path.suffix == ".ckpt"]
    return hidden + [path.name for path in checkpoints if not path.with_suffix(".json").is_file()]
