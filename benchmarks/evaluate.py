"""What an evaluation spends its time on: encode once, decode all objects, score them; and the choice of a next click.

    python benchmarks/evaluate.py [--model adapt:tiny | vit-b | FOLDER] [--side 1024] [--objects 1,10,100] [--repeats 5]

`vit-b` is Segment Anything's ViT-B with random weights, which takes as long as the trained one. An image has as many
discs as objects are asked for; each is clicked once. `whole` is what `score_samples` takes for that image, borders
included, beside 1.5 times the encoder's time plus the decoder's: `share` of it should stay below 100 %. Next clicks are
chosen for 64 masks of 1024 x 1024: discs that an answer misses by a shift, and, at worst, whole images of which a
half is missed. What is compared is measured in turn, and each figure is the least of the repeats, since what else runs
on the cores can only add to it. Each is given twice: by the clock, and in seconds of CPU over all threads, which other
work disturbs less (on a GPU these say nothing).
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from transformers import SamConfig, SamModel

from adapt.evaluate import Measures, score_samples
from adapt.prompts import correction_points
from adapt.protocols import PROTOCOLS, truth_of
from adapt.samples import Sample
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.segmenters.sam import sam_segmenter

Masks = npt.NDArray[np.bool_]
Seconds = dict[str, list[float]]
"""By each clock, of each call."""
CLOCKS = {"wall": time.perf_counter, "CPU": time.process_time}
SHOWN = ("discs, missed by a shift", "whole images, half missed")
CLICK_SIDE, CLICK_OBJECTS, CLICK_SECONDS = 1024, 64, 0.5
"""What the choice of a next click is measured on, and how long it may take on two cores."""
WHOLE = 1.5
"""Times the encoder's time, plus the decoder's: what the evaluation of an image may take."""


def discs(count: int, side: int, *, seed: int) -> Masks:
    """(count, side, side) bool: discs of 2 to 10 % of the side as radius, anywhere."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    radii, ys, xs = random.uniform(0.02, 0.1, count), random.uniform(0, 1, count), random.uniform(0, 1, count)
    masks = np.empty((count, side, side), dtype=bool)
    for mask, radius, y, x in zip(masks, radii, ys, xs, strict=True):
        mask[:] = np.hypot(rows - y * (side - 1), columns - x * (side - 1)) <= radius * side
    return masks


def least_seconds(measured: Sequence[Callable[[], object]], repeats: int) -> Seconds:
    """Least time of each call, by each clock; they take turns, after a round that warms up."""
    seconds: list[list[list[float]]] = [[[] for _ in measured] for _ in CLOCKS]
    for turn in range(repeats + 1):
        for place, call in enumerate(measured):
            begun = [clock() for clock in CLOCKS.values()]
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            for own, clock, start in zip(seconds, CLOCKS.values(), begun, strict=True):
                if turn:
                    own[place].append(clock() - start)
    return {name: [min(times) for times in own] for name, own in zip(CLOCKS, seconds, strict=True)}


def image_seconds(model: PromptableSegmenter, count: int, side: int, repeats: int, device: torch.device) -> Seconds:
    """Seconds to encode an image, to decode one click for each of its objects, and to evaluate it wholly."""
    masks = discs(count, side, seed=count)
    image = np.random.default_rng(0).integers(256, size=(side, side, 3), dtype=np.uint8)
    sample = Sample(
        image=image,
        masks=masks,
        categories=("disc",) * count,
        group="g",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id="s",
        source="",
    )
    spec = model.spec
    frame = spec.frame(side, side)
    pixels = spec.to_model_frame(image)[None]
    pixels = pixels.to(device)
    prompts = PROTOCOLS["one_click"].prompts(truth_of(masks, 0, device), slice(None), frame).to(device)
    measures = Measures(clicks=1, tolerance=None)

    def whole() -> None:
        for _ in score_samples([sample], {"base": model}, protocols=["one_click"], measures=measures, device=device):
            pass

    with torch.inference_mode():
        features = model.encode(pixels)
        calls = (lambda: model.encode(pixels), lambda: model.decode(features, prompts, multimask=True), whole)
        return least_seconds(calls, repeats)


def click_seconds(repeats: int) -> Seconds:
    """Seconds to choose the next click for 64 large masks, for each of `SHOWN`."""
    truth = discs(CLICK_OBJECTS, CLICK_SIDE, seed=0)
    shifted = np.roll(truth, (7, 11), axis=(1, 2))
    full = np.ones_like(truth)
    half = full.copy()
    half[:, :, CLICK_SIDE // 2 :] = False
    calls = (lambda: correction_points(truth, shifted), lambda: correction_points(full, half))
    return least_seconds(calls, repeats)


def load_model(name: str) -> PromptableSegmenter:
    """`vit-b` with random weights, or what a recipe's `model.checkpoint` may name."""
    return sam_segmenter(SamModel(SamConfig()).eval()) if name == "vit-b" else load_segmenter(name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="adapt:tiny")
    parser.add_argument("--side", type=int, default=1024, help="of the image, pixels")
    parser.add_argument("--objects", default="1,10,100")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    console = Console(width=max(Console().width, 100))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_model(options.model)
    model.to(device)
    table = Table(
        title=f"One image of {options.side} x {options.side}, one click an object, {options.model} on {device}"
    )
    for column in ("objects", "clock", "encode s", "decode s", "whole s", f"{WHOLE} x encode + decode", "share"):
        table.add_column(column, justify="right")
    for count in map(int, options.objects.split(",")):
        found = image_seconds(model, count, options.side, options.repeats, device)
        for clock, (encode, decode, whole) in found.items():
            limit = WHOLE * encode + decode
            cells = [f"{value:.3f}" for value in (encode, decode, whole, limit)]
            table.add_row(str(count), clock, *cells, f"{whole / limit:.0%}")
    console.print(table)
    clicks = click_seconds(options.repeats)
    for name, wall, cpu in zip(SHOWN, *clicks.values(), strict=True):
        text = (
            f"next click, {CLICK_OBJECTS} masks of {CLICK_SIDE} x {CLICK_SIDE} ({name}): {wall:.3f} s, {cpu:.3f} s CPU"
        )
        console.print(f"{text}; wanted below {CLICK_SECONDS} s on 2 cores", highlight=False, soft_wrap=True)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(
        f"{os.cpu_count()} cores, load {load} (1, 5, 15 min), torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, {platform.machine()}, Python {platform.python_version()}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
