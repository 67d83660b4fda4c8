"""What a GPU makes of the encoder, the decoder and a training step; ViT-B, L and H with random weights.

    python benchmarks/gpu.py [--models B,L,H] [--modes decoder,full] [--batch 4] [--objects 8] [key=value ...]

First a large product of bfloat16 matrices, which is taken as the peak of the device: `of peak` is the share of it that
the useful operations of a row come to. They are counted on the stock model, so that a way to compute that does more of
them (`model.attention=folded`, `trainer.recompute=true`) is not credited with these.

Each row runs in bfloat16 unless `trainer.precision=32-true` is given. A sample is an image and object pair. Choices are
compared by running it twice: `model.attention=stock`, `trainer.compile=true`, `trainer.recompute=true`,
`--channels-last`. A row that does not fit says so, and the next one is tried.
"""

import argparse
import copy
import gc
import time
from collections.abc import Callable, Sequence

import torch
from plain_loop import SINGLE
from rich.console import Console
from rich.table import Table
from step import print_machine
from torch.utils.flop_counter import FlopCounterMode
from transformers import SamConfig

from adapt import build
from adapt.jobs.batch_size import Trial, crowded_batch
from adapt.memory import is_out_of_memory
from adapt.prompts import Prompts, box_prompts
from adapt.recipe import Recipe, find_recipe, load_recipe
from adapt.segmenters import PromptableSegmenter, fold_attention
from adapt.segmenters.compiled import compile_encoder
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter

ARCHITECTURES: dict[str, dict[str, int]] = {
    "B": {"hidden_size": 768, "mlp_dim": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "L": {"hidden_size": 1024, "mlp_dim": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "H": {"hidden_size": 1280, "mlp_dim": 5120, "num_hidden_layers": 32, "num_attention_heads": 16},
}
GLOBAL = {"B": [2, 5, 8, 11], "L": [5, 11, 17, 23], "H": [7, 15, 23, 31]}
"""Blocks that attend globally."""
WARM_UP = 3
MATRIX = 8192


def least_seconds(run: Callable[[], object], *, steps: int, device: torch.device) -> float:
    """The least time of a run, after a warm-up; the device is waited for."""
    found = []
    for _ in range(WARM_UP + steps):
        begun = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - begun)
    return min(found[WARM_UP:])


def peak_flops(device: torch.device, *, side: int, steps: int) -> float:
    """Operations a second of a product of two (side, side) bfloat16 matrices."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * side**3 / least_seconds(lambda: left @ right, steps=steps, device=device)


def flops_of(run: Callable[[], object]) -> int:
    """Operations of products and convolutions in a run, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


class Bench:
    """The rows of one architecture on one device."""

    def __init__(self, recipe: Recipe, segmenter: PromptableSegmenter, *, batch: int, objects: int, steps: int) -> None:
        """Hand over a stock segmenter on the CPU; it is folded and compiled as the recipe says."""
        self._recipe, self._device = recipe, build.pick_device(recipe)
        self._batch, self._objects, self._steps = batch, objects, steps
        self._crowd = crowded_batch(segmenter.spec.image_size, images=batch, objects=objects).to(self._device)
        self._segmenter = segmenter
        self._useful = self._count(copy.deepcopy(segmenter))
        if recipe.model.attention == "folded":
            fold_attention(segmenter.encoder)

    def parts(self) -> list[tuple[str, float, int, int]]:
        """Name, seconds, samples and useful operations of encoder and decoder, forward."""
        segmenter = copy.deepcopy(self._segmenter).to(self._device)
        if self._recipe.trainer.compile:
            compile_encoder(segmenter, self._device)
        with torch.no_grad(), self._mixed():
            features = segmenter.encode(self._crowd.images)
            encode = least_seconds(lambda: segmenter.encode(self._crowd.images), steps=self._steps, device=self._device)
            decode = least_seconds(
                lambda: segmenter.decode(features, self._boxes(), multimask=False),
                steps=self._steps,
                device=self._device,
            )
        encoded, decoded = self._useful
        pairs = self._batch * self._objects
        return [("encoder, forward", encode, self._batch, encoded), ("decoder, forward", decode, pairs, decoded)]

    def training(self) -> tuple[float, int]:
        """Seconds and samples of a training step; the operations of the backward pass are not counted."""
        build.tune(self._recipe, self._segmenter)
        trial = Trial(self._recipe, self._segmenter, objects=self._objects, device=self._device, cached=False)
        if self._recipe.trainer.compile:
            compile_encoder(trial.segmenter, self._device)
        seconds = least_seconds(lambda: trial.step(self._crowd), steps=self._steps, device=self._device)
        return seconds, self._batch * self._objects

    def _mixed(self) -> torch.autocast:
        mixed = self._recipe.trainer.precision == "bf16-mixed"
        return torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=mixed)

    def _boxes(self) -> Prompts:
        side = float(self._crowd.images.shape[-1])
        box = torch.tensor([side / 4, side / 4, side / 2, side / 2], device=self._device)
        return box_prompts(box.expand(self._batch, self._objects, 4), self._crowd.object_valid)

    def _count(self, stock: PromptableSegmenter) -> tuple[int, int]:
        """Operations of encoder and decoder, forward."""
        stock = stock.to(self._device).requires_grad_(False)  # type: ignore[attr-defined]
        with torch.no_grad(), self._mixed():
            features = stock.encode(self._crowd.images)
            encoder = flops_of(lambda: stock.encode(self._crowd.images))
            return encoder, flops_of(lambda: stock.decode(features, self._boxes(), multimask=False))


def rows_of(
    recipe: Recipe,
    config: SamConfig,
    *,
    modes: Sequence[str],
    batch: int,
    objects: int,
    steps: int,
    channels_last: bool,
    peak: float,
) -> list[tuple[str, ...]]:
    """Row, milliseconds, samples a second, share of the peak, peak memory; of one architecture."""
    device = build.pick_device(recipe)
    rows: list[tuple[str, ...]] = []

    def memory() -> str:
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.1f}" if device.type == "cuda" else "-"

    for kind in ("parts", *modes):
        if device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        segmenter = sam_segmenter(initialised(config, seed=0))
        if channels_last:
            segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        own = (
            recipe
            if kind == "parts"
            else recipe.model_copy(update={"tuning": recipe.tuning.model_copy(update={"mode": kind})})
        )
        try:
            bench = Bench(own, segmenter, batch=batch, objects=objects, steps=steps)
            if kind == "parts":
                for name, seconds, samples, flops in bench.parts():
                    share = f"{100 * flops / seconds / peak:.1f} %"
                    rows.append((name, f"{1000 * seconds:.1f}", f"{samples / seconds:.1f}", share, memory()))
            else:
                seconds, samples = bench.training()
                rows.append((f"training, {kind}", f"{1000 * seconds:.1f}", f"{samples / seconds:.1f}", "", memory()))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            rows.append((kind, "out of memory", "", "", memory()))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="B,L,H")
    parser.add_argument("--modes", default="decoder,full", help="of tuning.mode, with a comma between")
    parser.add_argument("--batch", type=int, default=4, help="images a step")
    parser.add_argument("--objects", type=int, default=8, help="an image")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(2, "benchmarks/gpu.py measures a CUDA device, and torch finds none here; see benchmarks/step.py\n")
    sizes = [f"trainer.objects_per_image={options.objects}", f"trainer.batch_size={options.batch}"]
    fixed = ["trainer.precision=bf16-mixed", "trainer.accelerator=cuda"]
    recipe = load_recipe(find_recipe("quickstart"), [*SINGLE, *fixed, *sizes, *options.overrides])
    peak = peak_flops(torch.device("cuda"), side=MATRIX, steps=options.steps)
    console = Console(width=max(Console().width, 110))
    console.print(f"peak, by a product of {MATRIX} x {MATRIX} bfloat16 matrices: {peak / 1e12:.0f} TFLOP/s")
    said = " ".join(options.overrides) + (" channels last" if options.channels_last else "")
    for name in options.models.split(","):
        table = Table(title=f"ViT-{name}, 1024 px, {options.batch} images of {options.objects} objects {said}".rstrip())
        for column in ("row", "ms a step", "images or samples/s", "of peak", "peak GiB"):
            table.add_column(column, justify="left" if column == "row" else "right")
        vision = {**ARCHITECTURES[name], "global_attn_indexes": GLOBAL[name]}
        for row in rows_of(
            recipe,
            SamConfig(vision_config=vision),
            modes=options.modes.split(","),
            batch=options.batch,
            objects=options.objects,
            steps=options.steps,
            channels_last=options.channels_last,
            peak=peak,
        ):
            table.add_row(*row)
        console.print(table)
    print_machine(console)


if __name__ == "__main__":
    main()
