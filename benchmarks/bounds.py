"""How much faster a step can get at most: the arithmetic of SAM ViT-B at 1024 px, counted, not timed.

    python benchmarks/bounds.py [--objects 2] [--blocks 3]

Counts floating-point operations on tensors without data (PyTorch's `FlopCounterMode`), of the stock layers with their
scores written down. `later` is what a step costs once the features in front of the last blocks are kept; `plain loop`
encodes an image for each of its objects, and is what `benchmarks/plain_loop.py` times. A ratio is a bound as far as all
operations are equally fast; where ours are faster than the stock ones, more is possible.
"""

import argparse
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import SamConfig, SamModel

SIDE, OF_PLAIN = 1024, 8
"""Pixels of the input; objects an image in the comparison with the plain loop."""


@dataclass(frozen=True)
class Counts:
    """Operations of one image.

    Attributes:
        frozen: forward pass of the blocks whose result is kept.
        late: forward pass of the others, and of the neck.
        late_backward: down to query and value of the first of them, as LoRA needs it.
        decoder: forward and backward pass for all objects.
    """

    frozen: int
    late: int
    late_backward: int
    decoder: int


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=2, help="an image")
    parser.add_argument("--blocks", type=int, default=3, help="the last ones, that LoRA is in")
    options = parser.parse_args()
    with torch.device("meta"):
        model = SamModel._from_config(SamConfig(), attn_implementation="eager")
        counts = Counts(*count_encoder(model, blocks=options.blocks), count_decoder(model, options.objects))
        one, many = (count_decoder(model, objects) for objects in (1, OF_PLAIN))
    encoder = counts.frozen + counts.late
    trained = counts.late + counts.late_backward
    steps = {
        f"LoRA in the last {options.blocks} blocks, {options.objects} objects": (
            encoder + counts.late_backward + counts.decoder,
            trained + counts.decoder,
        ),
        "the same, if decoding cost nothing": (encoder + counts.late_backward, trained),
        f"decoder, plain loop beside ours, {OF_PLAIN} objects": (OF_PLAIN * (encoder + one), encoder + many),
    }
    table = Table("step", "without, or plain: GFLOP", "later, or ours: GFLOP", "times, at most")
    for name, (slow, fast) in steps.items():
        table.add_row(name, f"{slow / 1e9:,.0f}", f"{fast / 1e9:,.0f}", f"{slow / fast:.2f}")
    Console(width=120).print(table)


def count_encoder(model: SamModel, *, blocks: int) -> tuple[int, int, int]:
    """Operations of the blocks before the last ones, of the last ones and the neck, and of their backward pass."""
    encoder = model.vision_encoder.requires_grad_(False)
    first = len(encoder.layers) - blocks
    for layer in encoder.layers[first:]:
        layer.attn.qkv.bias.requires_grad_(True)  # stands for LoRA, whose own products are small
    hidden: Tensor = encoder.patch_embed(torch.empty(1, 3, SIDE, SIDE)) + encoder.pos_embed
    with FlopCounterMode(display=False) as frozen, torch.no_grad():
        for layer in encoder.layers[:first]:
            hidden = layer(hidden)
    with FlopCounterMode(display=False) as late:
        for layer in encoder.layers[first:]:
            hidden = layer(hidden)
        embedding = encoder.neck(hidden)
    with FlopCounterMode(display=False) as backward:
        embedding.sum().backward()
    return frozen.get_total_flops(), late.get_total_flops(), backward.get_total_flops()


def count_decoder(model: SamModel, objects: int) -> int:
    """Operations of decoding one image for so many boxes, forward and back to its embedding."""
    embedding = torch.empty(1, 256, SIDE // 16, SIDE // 16, requires_grad=True)
    with FlopCounterMode(display=False) as counted:
        boxes = torch.empty(1, objects, 4)
        model(image_embeddings=embedding, input_boxes=boxes, multimask_output=True).pred_masks.sum().backward()
    return int(counted.get_total_flops())


if __name__ == "__main__":
    main()
