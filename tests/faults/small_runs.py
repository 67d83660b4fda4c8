"""What the tests of faults share: the recipe, how often a fault is tried, and what is looked at in a run's folder."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

RECIPE = """\
model: {checkpoint: adapt:tiny, input_size: 64}
data: {kind: folder, root: adapt:shapes_folder}
split: {validation: 0.2, test: 0.1}
augment: {horizontal_flip: 0.5}
prompts: {corrections: 0, idle_rounds: 0}
optimizer: {learning_rate: 1e-3, warmup_steps: 2}
trainer: {epochs: 2, batch_size: 4, objects_per_image: 2, workers: 0, accelerator: cpu, checkpoint_minutes: 0}
evaluation:
  gallery: 0
  gallery_every: 1
  following_images: 0
  bootstrap_samples: 100
  retention: {images: 0}
  automatic: {images: 0}
"""
STEPS = 5
"""Of an epoch: 24 images, of which 5 are for validation and 2 for the test."""
Fit = Callable[..., int]
Mount = Callable[[int], Path]


def soaked(bounded: int, full: int) -> int:
    """How often a fault is tried: in `make test`, and in `make soak`."""
    return full if "ADAPT_SOAK" in os.environ else bounded


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
