"""What each choice for speed is worth by itself, at the sizes of SAM ViT-B and 1024 px.

    python benchmarks/choices.py [--steps 3]

Attention: one layer of the encoder of each kind, as transformers computes it (`model.attention=stock`) and folded; a
pass forward without a graph, and one forward and backward. AdamW: a step over as many weights as the decoder, and as
the whole model has, in one kernel (fused) and in many. Channels last: the convolutions of patch embedding and neck.
Times are the least of the steps, in seconds of CPU over all threads, on a GPU by the clock. Memory is the most that
is held above what was held before. It runs on a GPU if there is one.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from step import print_machine
from torch import Tensor, nn
from transformers import SamModel, SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionLayer

from adapt.memory import held_bytes, peak_bytes, reset_peak
from adapt.segmenters.attention import FoldedLayer

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cost(run: Callable[[], object], steps: int) -> tuple[str, str]:
    """Milliseconds and MiB of a run, after one that warms up."""
    clock = time.perf_counter if DEVICE.type == "cuda" else time.process_time
    run()
    seconds, most = [], 0
    for _ in range(steps):
        reset_peak(DEVICE)
        before, begun = held_bytes(DEVICE), clock()
        run()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(clock() - begun)
        most = max(most, peak_bytes(DEVICE) - before)
    return f"{1000 * min(seconds):.0f}", f"{most / 2**20:.0f}"


def layer_rows(steps: int) -> list[tuple[str, ...]]:
    """64 x 64 tokens, in 25 windows of 14 x 14 and all together."""
    config = SamVisionConfig(attn_implementation="sdpa")
    tokens = torch.randn(1, 64, 64, config.hidden_size, device=DEVICE, requires_grad=True)
    rows: list[tuple[str, ...]] = []
    for name, window in (("with windows", config.window_size), ("global", 0)):
        stock = SamVisionLayer(config, window).to(DEVICE)
        for how, layer in (("stock", stock), ("folded", FoldedLayer.of(stock))):

            def forward(layer: nn.Module = layer) -> None:
                with torch.no_grad():
                    layer(tokens)

            def both(layer: nn.Module = layer) -> None:
                layer(tokens).square().mean().backward()

            rows.append((f"layer, {name}, forward", how, *cost(forward, steps)))
            rows.append((f"layer, {name}, both", how, *cost(both, steps)))
    return rows


def optimizer_rows(steps: int) -> list[tuple[str, ...]]:
    """Weights of the sizes that ViT-B has."""
    with torch.device("meta"):
        whole = SamModel(SamModel.config_class())
    rows: list[tuple[str, ...]] = []
    for name, part in (("decoder", whole.mask_decoder), ("whole model", whole)):
        for fused in (False, True):
            weights = [nn.Parameter(torch.zeros(p.shape, device=DEVICE)) for p in part.parameters()]
            for weight in weights:
                weight.grad = torch.ones_like(weight)
            optimizer = torch.optim.AdamW(weights, lr=1e-3, fused=fused)
            how = "fused" if fused else "not fused"
            rows.append((f"AdamW, {name}", how, *cost(optimizer.step, steps)))
    return rows


def layout_rows(steps: int) -> list[tuple[str, ...]]:
    """The convolutions of the encoder, forward."""
    encoder = SamModel(SamModel.config_class()).vision_encoder.to(DEVICE)
    inputs = {"patch embedding": torch.randn(1, 3, 1024, 1024), "neck": torch.randn(1, 64, 64, 768)}
    parts = {"patch embedding": encoder.patch_embed, "neck": encoder.neck}
    rows: list[tuple[str, ...]] = []
    for name, part in parts.items():
        values = inputs[name].to(DEVICE)
        last = copy.deepcopy(part).to(memory_format=torch.channels_last)
        for how, module in (("contiguous", part), ("channels last", last)):

            def run(module: nn.Module = module, values: Tensor = values) -> None:
                with torch.no_grad():
                    module(values)

            rows.append((name, how, *cost(run, steps)))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    console = Console(width=max(Console().width, 100))
    table = Table(title="Choices for speed, SAM ViT-B at 1024 px, float32")
    for column in ("what", "how", "ms", "MiB"):
        table.add_column(column, justify="left" if column in ("what", "how") else "right")
    for row in (*layer_rows(options.steps), *optimizer_rows(options.steps), *layout_rows(options.steps)):
        table.add_row(*row)
    console.print(table)
    print_machine(console)


if __name__ == "__main__":
    main()
