"""Training samples a second, beside the loop that notebooks show: one image and one box a step.

    python benchmarks/plain_loop.py [--steps 5] [--objects 8] [--batch 1] [key=value ...]     adapt:tiny, 256 px
    python benchmarks/plain_loop.py --layers 12 --side 1024 [...]                             SAM ViT-B, random weights
    python benchmarks/plain_loop.py --layers 2 --side 1024 [...]                              a part of it, as a trial

A sample is an image and an object pair. Both sides train the mask decoder alone on the same images and boxes with the
same model, in the same precision, and nothing is cached; data is in memory already. The plain loop calls
`transformers.SamModel` on one image and one box, takes cross-entropy plus dice at mask size, and moves the weights
with Adam. Ours takes `--batch` images with `--objects` boxes each, encodes an image once, and does what a step of `fit`
does, focal loss, IoU head and clipping included. By default it prompts once, as the plain loop does: with
`prompts.corrections=8 prompts.idle_rounds=2` it trains the whole session, and decodes eleven times as often.

Steps of both take turns, so that what else runs on the machine slows both; the least of each counts, in seconds of CPU
over all threads (on a GPU by the clock). `python benchmarks/step.py` shows where a step's time goes.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from step import peak_mebibytes, print_machine
from torch import Tensor
from torch.nn import functional
from transformers import SamConfig, SamModel

from adapt import build
from adapt.jobs.batch_size import Trial, crowded_batch
from adapt.recipe import Recipe, find_recipe, load_recipe
from adapt.segmenters import fold_attention, load_segmenter
from adapt.segmenters.compiled import compile_encoder
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter
from adapt.segmenters.segmenter import Segmenter

SINGLE = ["prompts.corrections=0", "prompts.idle_rounds=0", "prompts.box_chance=1.0"]
WARM_UP = 1


def vit_base(layers: int, side: int) -> SamConfig:
    """ViT-B, of which the last `layers` blocks are there: every third one attends globally."""
    attends = [layer - (12 - layers) for layer in (2, 5, 8, 11) if layer >= 12 - layers]
    vision = {"image_size": side, "num_hidden_layers": layers, "global_attn_indexes": attends}
    return SamConfig(
        vision_config=vision, prompt_encoder_config={"image_size": side, "image_embedding_size": side // 16}
    )


def plain_step(
    model: SamModel, optimizer: torch.optim.Optimizer, *, mixed: bool
) -> Callable[[Tensor, Tensor, Tensor], None]:
    """The step of the public notebooks: image (1, 3, S, S), box (1, 1, 4), target (1, 1, h, w) float."""

    def step(image: Tensor, box: Tensor, target: Tensor) -> None:
        with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=mixed):
            outputs = model(pixel_values=image, input_boxes=box, multimask_output=False)
        logits = outputs.pred_masks[:, :, 0].float()
        probability = logits.sigmoid()
        overlap = 2 * (probability * target).sum() / (probability.square().sum() + target.sum())
        loss = functional.binary_cross_entropy_with_logits(logits, target) + 1 - overlap
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure(recipe: Recipe, model: SamModel, *, steps: int, objects: int, batch: int) -> tuple[float, float]:
    """Samples a second of the plain loop, and of ours."""
    device, mixed = build.pick_device(recipe), recipe.trainer.precision == "bf16-mixed"
    segmenter = sam_segmenter(copy.deepcopy(model))
    if recipe.model.attention == "folded":
        fold_attention(segmenter.encoder)
    build.tune(recipe, segmenter)
    ours = Trial(recipe, segmenter, objects=objects, device=device, cached=False)
    if recipe.trainer.compile:
        compile_encoder(ours.segmenter, device)
    crowd = crowded_batch(segmenter.spec.image_size, images=batch, objects=objects).to(device)

    plain = copy.deepcopy(model).to(device).train()
    for name, parameter in plain.named_parameters():
        parameter.requires_grad_(name.startswith("mask_decoder"))
    optimizer = torch.optim.Adam([p for p in plain.parameters() if p.requires_grad], lr=1e-5)
    one = plain_step(plain, optimizer, mixed=mixed)
    size, side = segmenter.spec.mask_size, segmenter.spec.image_size
    target = functional.interpolate(crowd.masks[:1, :1].float(), (size, size), mode="nearest")
    box = torch.tensor([[[side / 4, side / 4, side / 2, side / 2]]], device=device)

    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    loops: dict[str, Callable[[], None]] = {
        "plain": lambda: one(crowd.images[:1], box, target),
        "ours": lambda: ours.step(crowd),
    }
    for _ in range(WARM_UP + steps):
        for name, step in loops.items():
            begun = clock()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(clock() - begun)
    return 1 / min(seconds["plain"][WARM_UP:]), batch * objects / min(seconds["ours"][WARM_UP:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--objects", type=int, default=8, help="an image")
    parser.add_argument("--batch", type=int, default=1, help="images a step of ours")
    parser.add_argument("--layers", type=int, default=0, help="of ViT-B, 1 to 12; 0: adapt:tiny")
    parser.add_argument("--side", type=int, default=1024, help="of the input, with --layers")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args()
    sizes = [f"trainer.objects_per_image={options.objects}", f"trainer.batch_size={options.batch}"]
    recipe = load_recipe(find_recipe("quickstart"), [*SINGLE, *sizes, *options.overrides])
    if options.layers:
        model = initialised(vit_base(options.layers, options.side), seed=0)
        name = f"ViT-B, {options.layers} of 12 blocks, {options.side} px"
    else:
        tiny = load_segmenter("adapt:tiny")
        assert isinstance(tiny, Segmenter)
        model, name = tiny.model, "adapt:tiny, 256 px"
    plain, ours = measure(recipe, model, steps=options.steps, objects=options.objects, batch=options.batch)
    console = Console(width=max(Console().width, 100))
    table = Table(title=f"{name}, {recipe.trainer.precision} ({' '.join(options.overrides) or 'single prompts'})")
    for column in ("loop", "a step", "samples/s", "ratio"):
        table.add_column(column, justify="left" if column in ("loop", "a step") else "right")
    table.add_row("plain", "1 image, 1 box", f"{plain:.2f}", "1.00")
    of_ours = f"{options.batch} x {options.objects} objects"
    table.add_row("ours", of_ours, f"{ours:.2f}", f"{ours / plain:.2f}", style="bold")
    console.print(table)
    console.print(f"peak memory {peak_mebibytes():.0f} MiB, of both together")
    print_machine(console)


if __name__ == "__main__":
    main()
