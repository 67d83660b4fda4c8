"""What the cache of frozen features is worth: training steps with and without it, side by side, and how fast it reads.

    python benchmarks/features.py [--model vit-b|tiny] [--images 2] [--objects 2] [--steps 2] [key=value ...]
    python benchmarks/features.py --reading

Each line trains the same way with and without the cache, on the same images, step after step in turn, so that both see
the same machine. `first epoch` is with an empty cache, against none; `later` with a full one. Seconds of a step are
medians, without the making of its batch, which processes of their own do ahead of it. The first table compares looking
entries up, checksum included, with a plain sequential read of the same files into one buffer, in turn; the best of 15
times of each file.

The weights of `vit-b` (Segment Anything's architecture at 1024 px) are random: speed does not depend on them.
"""

import argparse
import io
import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import SamConfig

from adapt import build
from adapt.datamodules.batches import collate
from adapt.features import FeatureCache, encode
from adapt.features.entries import read_entry, write_entry
from adapt.losses import mean_over_objects
from adapt.recipe import Recipe, find_recipe, load_recipe
from adapt.samples import Batch
from adapt.segmenters import PromptableSegmenter, freeze_boundary, random_segmenter
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter
from adapt.session import session_losses

FILES, TURNS = 40, 15
"""Entries that are read, and how often all of them are."""
SINGLE = ["prompts.corrections=0", "prompts.idle_rounds=0"]
MODES = {
    "decoder, single prompts": ["tuning.mode=decoder", *SINGLE],
    "decoder, sessions of 11 rounds": ["tuning.mode=decoder"],
    "LoRA in the last 3 blocks, single prompts": ["tuning.mode=lora", "tuning.blocks=3", *SINGLE],
}


def make_model(name: str) -> PromptableSegmenter:
    """The architecture with random weights."""
    if name == "tiny":
        return random_segmenter("adapt:tiny", seed=0)
    return sam_segmenter(initialised(SamConfig(), seed=0))


class Trainer:
    """A training step as `fit` has it, of one recipe, with a cache or without."""

    def __init__(self, recipe: Recipe, segmenter: PromptableSegmenter, features: FeatureCache | None) -> None:
        self.task = build.make_task(recipe, segmenter, steps_per_epoch=1, features=features)
        self.task.on_fit_start()
        self.features, self.boundary = features, freeze_boundary(segmenter.stages)
        trainable = [parameter for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=1e-5)

    def step(self, batch: Batch) -> float:
        """Seconds of one step."""
        begun = time.perf_counter()
        found = encode(self.task.segmenter, batch.images, batch.cached, boundary=self.boundary, cache=self.features)
        losses, valid = session_losses(
            self.task.segmenter,
            found,
            batch,
            epoch=0,
            step=0,
            simulation=self.task.simulation,
            session=self.task.session,
            objective=self.task.objective,
        )
        mean_over_objects(losses.total, valid).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - begun


def measure(model: str, choices: Sequence[str], *, images: int, steps: int, cache: Path) -> tuple[float, float, float]:
    """Seconds of a step without the cache, with an empty one, and with a full one."""
    given = ["data.root=adapt:shapes_folder", "trainer.workers=0", f"cache={cache}", *choices]
    recipe = load_recipe(find_recipe("folder"), given)
    console = Console(file=io.StringIO())
    segmenter = make_model(model)
    build.tune(recipe, segmenter)
    store = build.make_store(recipe, console)
    splits = build.make_splits(recipe, store, console)
    plan = build.plan_training_features(recipe, segmenter, store, splits)
    features = build.open_features(recipe, segmenter, plan, precision="32-true", console=console)
    assert features is not None
    seconds: dict[str, list[float]] = {"without": [], "empty": [], "full": []}
    plain, cached = Trainer(recipe, segmenter, None), Trainer(recipe, segmenter, features)
    for number in range(steps):
        for kind, trainer, of in (("without", plain, None), ("empty", cached, features), ("full", cached, features)):
            data = build.make_data(recipe, store, splits, segmenter.spec, torch.device("cpu"), features=of)
            items = data.train_dataloader().dataset
            batch = collate([items[0, (number * images + place) % len(store.rows)] for place in range(images)])
            seconds[kind].append(trainer.step(batch))
            features.flush()
    without, empty, full = (statistics.median(values) for values in seconds.values())
    return without, empty, full


def read_speeds(folder: Path, shape: tuple[int, ...]) -> tuple[float, float]:
    """Bytes a second of reading files of one entry each from end to end, and of looking the entries up; in turn."""
    paths = [folder / f"{number}.safetensors" for number in range(FILES)]
    size = sum(write_entry(path, (torch.randn(shape).half(),)) for path in paths)
    buffer = bytearray(max(path.stat().st_size for path in paths))

    def plainly(path: Path) -> None:
        with path.open("rb", buffering=0) as file:
            file.readinto(buffer)

    def entry(path: Path) -> None:
        assert read_entry(path) is not None

    best = {read: [math.inf] * FILES for read in (plainly, entry)}
    for _ in range(TURNS):
        for read, seconds in best.items():
            for number, path in enumerate(paths):
                begun = time.perf_counter()
                read(path)
                seconds[number] = min(seconds[number], time.perf_counter() - begun)
    plain, ours = (size / sum(seconds) for seconds in best.values())
    return plain, ours


def print_reading(console: Console) -> None:
    """A table of `read_speeds` of what ViT-B keeps of an image of 1024 px."""
    table = Table("entry", "MB", "plain read, GB/s", "cache, GB/s", "of plain")
    for title, shape in {"image embedding": (256, 64, 64), "hidden state": (64, 64, 768)}.items():
        with tempfile.TemporaryDirectory() as folder:
            plain, ours = read_speeds(Path(folder), shape)
        row = (2 * math.prod(shape) / 1e6, plain / 1e9, ours / 1e9)
        table.add_row(title, *(f"{value:.2f}" for value in row), f"{ours / plain:.0%}")
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["vit-b", "tiny"], default="vit-b")
    parser.add_argument("--images", type=int, default=1, help="images of a step")
    parser.add_argument("--objects", type=int, default=2, help="objects of an image")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--reading", action="store_true", help="measure how fast the cache reads, and nothing else")
    options = parser.parse_args()
    console = Console(width=120)
    print_reading(console)
    if options.reading:
        return
    table = Table("training", "without, s", "first epoch, s", "of without", "later, s", "times faster")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, choices) in enumerate(MODES.items()):
            of_all = [*choices, f"trainer.objects_per_image={options.objects}", *options.overrides]
            without, empty, full = measure(
                options.model, of_all, images=options.images, steps=options.steps, cache=Path(folder) / str(number)
            )
            table.add_row(
                title,
                f"{without:.2f}",
                f"{empty:.2f}",
                f"{empty / without:.0%}",
                f"{full:.3f}",
                f"{without / full:.1f}",
            )
    console.print(table)
    print(f"{options.model}, {options.images} images of {options.objects} objects a step, {os.cpu_count()} cores,")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}")


if __name__ == "__main__":
    main()
