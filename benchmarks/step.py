"""What a training step spends its time on: load, encode, decode, backward, optimiser.

    python benchmarks/step.py [--recipe quickstart] [--steps 20] [key=value ...]

Each figure is the median over steps after a warm-up; `share` is of the whole step. Load is one batch made in
this process: with w workers it is hidden while load / w stays below the rest.
"""

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader

from adapt import build
from adapt.losses import mean_over_objects
from adapt.recipe import find_recipe, load_recipe
from adapt.samples import Batch
from adapt.session import session_losses

WARM_UP = 3
PARTS = ("load", "encode", "prompts, decode, loss", "backward", "optimiser")


def endless(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Batches of one epoch after the other."""
    while True:
        yield from loader


def measure(name: str, overrides: list[str], steps: int, console: Console) -> dict[str, list[float]]:
    """Seconds of each part in each step of a recipe."""
    recipe = load_recipe(find_recipe(name), ["trainer.workers=0", *overrides])
    device = build.pick_device(recipe)
    store = build.make_store(recipe, console)
    segmenter = build.make_segmenter(recipe)
    build.tune(recipe, segmenter)
    splits = build.make_splits(recipe, store, console)
    data = build.make_data(recipe, store, splits, segmenter.spec, device)
    task = build.make_task(recipe, segmenter, steps_per_epoch=steps).to(device)
    task.on_fit_start()
    optimizer = task.configure_optimizers()["optimizer"]
    seconds: dict[str, list[float]] = {part: [] for part in PARTS}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds[part].append(time.perf_counter() - begun)

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    console = Console()
    medians = {
        part: statistics.median(values)
        for part, values in measure(options.recipe, options.overrides, options.steps, console).items()
    }
    total = sum(medians.values())
    table = Table(title=f"A training step of {options.recipe} ({' '.join(options.overrides) or 'as it is'})")
    for column in ("part", "ms", "share"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, value in medians.items():
        table.add_row(part, f"{1000 * value:.1f}", f"{100 * value / total:.1f} %")
    table.add_row("whole step", f"{1000 * total:.1f}", "100.0 %", style="bold")
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    console.print(f"peak memory {peak:.0f} MiB; torch {torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        console.print(f"{torch.cuda.get_device_name()}, peak {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    console.print(f"{platform.machine()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
