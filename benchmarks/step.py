"""What a training step spends its time on: load, encode, decode, backward, optimiser.

    python benchmarks/step.py [--recipe quickstart] [--steps 20] [key=value ...]               parts of a step
    python benchmarks/step.py --losses [--side 1024] [--recipe ...] [--steps 20] [key=value ...]  choices of the loss

Each figure is the median over steps after a warm-up; `share` is of the whole step. Load is one batch made in
this process: with w workers it is hidden while load / w stays below the rest.

`--losses` trains the same with each choice of `loss`, in a process of its own, and prints time and peak memory side by
side; times are the least of the steps, without loading and encoding, which no choice changes, in seconds of CPU over
all threads (on a GPU, by the clock), which other work disturbs less. `--side` takes, instead of the recipe's model, one
with an input of so many pixels: Segment Anything's decoder with random weights behind an encoder of a single layer, as
the whole one would hide what is compared.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from transformers import SamConfig, SamModel

from adapt import build
from adapt.losses import mean_over_objects
from adapt.recipe import find_recipe, load_recipe
from adapt.samples import Batch
from adapt.segmenters import PromptableSegmenter
from adapt.segmenters.compiled import compile_encoder
from adapt.segmenters.sam import sam_segmenter
from adapt.session import session_losses

WARM_UP = 3  # what is compiled is so in the first
PARTS = ("load", "encode", "prompts, decode, loss", "backward", "optimiser")
CHOICES = {
    "at mask size, winner, squared (SAM)": ["loss.at=mask", "loss.iou_learns_from=winner", "loss.iou_error=squared"],
    "at image size": ["loss.at=image", "loss.iou_learns_from=winner", "loss.iou_error=squared"],
    "at uncertain points": ["loss.at=points", "loss.iou_learns_from=winner", "loss.iou_error=squared"],
    "IoU head from all": ["loss.at=mask", "loss.iou_learns_from=all", "loss.iou_error=squared"],
    "IoU error absolute": ["loss.at=mask", "loss.iou_learns_from=winner", "loss.iou_error=absolute"],
    "all of SAM 2": ["loss.at=image", "loss.iou_learns_from=all", "loss.iou_error=absolute"],
}


def endless(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Batches of one epoch after the other."""
    while True:
        yield from loader


def large_segmenter(side: int) -> PromptableSegmenter:
    """Segment Anything's decoder, with random weights, for an input of `side`; the encoder is a single layer."""
    vision = {"image_size": side, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    prompt = {"image_size": side, "image_embedding_size": side // 16}
    config = SamConfig(vision_config={**vision, "global_attn_indexes": []}, prompt_encoder_config=prompt)
    return sam_segmenter(SamModel(config).eval())


def measure(
    name: str, overrides: list[str], steps: int, side: int, console: Console, *, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each part in each step of a recipe; with its own model if `side` is 0, see `large_segmenter`."""
    recipe = load_recipe(find_recipe(name), ["trainer.workers=0", *overrides])
    device = build.pick_device(recipe)
    store = build.make_store(recipe, console)
    torch.manual_seed(recipe.seed)
    segmenter = large_segmenter(side) if side else build.make_segmenter(recipe)
    build.tune(recipe, segmenter)
    splits = build.make_splits(recipe, store, console)
    data = build.make_data(recipe, store, splits, segmenter.spec, device)
    task = build.make_task(recipe, segmenter, steps_per_epoch=steps).to(device)
    task.on_fit_start()
    if recipe.trainer.compile:
        compile_encoder(segmenter, device)
    optimizer = task.configure_optimizers()["optimizer"]
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        begun = clock()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds[part].append(clock() - begun)

    batches = endless(data.train_dataloader())
    for _ in range(steps + WARM_UP):
        with timed("load"):
            batch = next(batches).to(device)
        with timed("encode"):
            features = task.encode(batch)
        with timed("prompts, decode, loss"):
            losses, valid = session_losses(
                segmenter,
                features,
                batch,
                epoch=0,
                step=0,
                simulation=task.simulation,
                session=task.session,
                objective=task.objective,
            )
            loss = mean_over_objects(losses.total, valid)
        with timed("backward"):
            loss.backward()
        with timed("optimiser"):
            optimizer.step()
            optimizer.zero_grad()
    return {part: list(islice(values, WARM_UP, None)) for part, values in seconds.items()}


def peak_mebibytes() -> float:
    """The most memory ever held: on the GPU, if there is one, else by this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    # not `ru_maxrss`: it keeps what the process that started this one had
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def print_machine(console: Console) -> None:
    """What it was measured on, and what else ran there."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    threads = f"torch {torch.__version__} with {torch.get_num_threads()} threads, Python {platform.python_version()}"
    console.print(f"{device}, {os.cpu_count()} cores, load {load} (1, 5, 15 min), {threads}", highlight=False)


def print_losses(options: argparse.Namespace, console: Console) -> None:
    """Time and memory of a step with each choice of the loss."""
    table = Table(title=f"A step of {options.recipe} {' '.join(options.overrides)} by loss".replace("  ", " "))
    for column in ("loss", "ms a step", "of the first", "peak MiB", "more than the first"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    first: tuple[float, float] | None = None
    for name, overrides in CHOICES.items():
        shared = ["--recipe", options.recipe, "--steps", str(options.steps), "--side", str(options.side), "--as-json"]
        command = [sys.executable, __file__, *shared, *options.overrides, *overrides]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout)
        compared = [found["seconds"][part] for part in PARTS[2:]]
        least = 1000 * min(sum(parts) for parts in zip(*compared, strict=True))
        first = first or (least, found["peak"])
        more = f"{found['peak'] - first[1]:+.0f}"
        table.add_row(name, f"{least:.0f}", f"{least / first[0]:.2f}", f"{found['peak']:.0f}", more)
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--losses", action="store_true")
    parser.add_argument("--side", type=int, default=0)
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    console = Console(width=max(Console().width, 100))
    if options.losses:
        print_losses(options, console)
        print_machine(console)
        return
    clock = time.process_time if options.as_json and not torch.cuda.is_available() else time.perf_counter
    quiet = Console(stderr=True)
    seconds = measure(options.recipe, options.overrides, options.steps, options.side, quiet, clock=clock)
    if options.as_json:
        print(json.dumps({"seconds": seconds, "peak": peak_mebibytes()}))
        return
    medians = {part: statistics.median(values) for part, values in seconds.items()}
    total = sum(medians.values())
    table = Table(title=f"A training step of {options.recipe} ({' '.join(options.overrides) or 'as it is'})")
    for column in ("part", "ms", "share"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, value in medians.items():
        table.add_row(part, f"{1000 * value:.1f}", f"{100 * value / total:.1f} %")
    table.add_row("whole step", f"{1000 * total:.1f}", "100.0 %", style="bold")
    console.print(table)
    console.print(f"peak memory {peak_mebibytes():.0f} MiB")
    print_machine(console)


if __name__ == "__main__":
    main()
