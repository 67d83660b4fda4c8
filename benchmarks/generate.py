"""What automatic masks of an image cost: the encoder, the decoder on a grid of clicks, and all that follows.

    python benchmarks/generate.py [--model adapt:tiny | vit-b | FOLDER] [--side 1024] [--points 32] [--passing 0.4]
                                  [--repeats 3]

`vit-b` is Segment Anything's ViT-B with random weights, which takes as long as the trained one. So that weights that
know nothing leave candidates to filter, the threshold of the predicted IoU is set where the share `--passing` of all
candidates is above it, and that of the stability where half of these are. `whole` is `generate`; `decoder` is the same
clicks in the same batches and nothing else; `the rest` is what filtering, run lengths and suppression take, measured on
their own. The whole should stay below the encoder's time plus 1.3 times the decoder's, the rest below 10 % of it. Each
figure is the least of the repeats, which take turns; by the clock, and in seconds of CPU, which other work disturbs
less (on a GPU these say nothing).
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
from torch import Tensor
from transformers import SamConfig, SamModel

from adapt.generate import generate
from adapt.generate.candidates import Funnel, stability, survivors
from adapt.generate.grid import point_grid
from adapt.generate.suppression import suppress
from adapt.generate.upsampling import Upsampling, upsampling
from adapt.prompts import point_prompts
from adapt.recipe import GenerateSettings
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter, load_segmenter
from adapt.segmenters.sam import sam_segmenter

CLOCKS = {"wall": time.perf_counter, "CPU": time.process_time}
DECODERS, REST = 1.3, 0.1
"""Limits: times the decoder's time, beside the encoder's; and the share of filtering and suppression."""


def discs(side: int) -> npt.NDArray[np.uint8]:
    """(side, side, 3) uint8: 60 bright discs on a dark ground, with noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    image = np.full((side, side, 3), 40.0)
    for _ in range(60):
        y, x, radius = *random.uniform(0, side, 2), random.uniform(0.02, 0.08) * side
        image[np.hypot(rows - y, columns - x) < radius] = random.uniform(120, 255, 3)
    return np.clip(image + random.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def decode(model: PromptableSegmenter, features: ImageFeatures, clicks: Tensor, batch: int) -> list[MaskPredictions]:
    """Candidates of all clicks (N, 2), model frame, in batches."""
    answers = []
    for part in clicks.split(batch):
        prompts = point_prompts(part[None], torch.ones(1, len(part), dtype=torch.bool)).to(features.embedding.device)
        answers.append(model.decode(features, prompts, multimask=True))
    return answers


def filtered(answers: Sequence[MaskPredictions], to_image: Upsampling, settings: GenerateSettings) -> int:
    """Masks that are left of all candidates by filters and suppression, as run lengths."""
    found = [
        one
        for answer in answers
        for one in survivors(answer.logits[0].flatten(0, 1), answer.iou[0].flatten(), to_image, settings, Funnel())
    ]
    boxes = np.array([one.box for one in found], dtype=np.float64).reshape(-1, 4)
    return len(suppress(boxes, np.array([one.predicted_iou for one in found]), most=settings.nms))


def thresholds(answers: Sequence[MaskPredictions], to_image: Upsampling, passing: float) -> dict[str, float]:
    """Of the predicted IoU, that the share `passing` is above; of the stability, that half of some of these are."""
    expected = torch.cat([answer.iou[0].flatten() for answer in answers])
    least = float(expected.quantile(1 - passing))
    first = answers[0]
    some = first.logits[0].flatten(0, 1)[first.iou[0].flatten() > least][:32]
    settings = GenerateSettings()
    parts = [
        to_image.part_above(one, settings.mask_threshold - settings.stability_offset) for one in some.cpu().numpy()
    ]
    steady = [stability(part[0], settings) for part in parts if part is not None]
    return {"predicted_iou": max(least, 1e-6), "stability": float(np.median(steady)) if steady else 0.0}


def least_seconds(calls: Sequence[Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Least time of each call, by each clock; they take turns."""
    seconds: dict[str, list[list[float]]] = {name: [[] for _ in calls] for name in CLOCKS}
    for _ in range(repeats):
        for place, call in enumerate(calls):
            begun = {name: clock() for name, clock in CLOCKS.items()}
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            for name, clock in CLOCKS.items():
                seconds[name][place].append(clock() - begun[name])
    return {name: [min(times) for times in own] for name, own in seconds.items()}


@torch.inference_mode()
def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="adapt:tiny")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--passing", type=float, default=0.4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = sam_segmenter(SamModel(SamConfig())) if options.model == "vit-b" else load_segmenter(options.model)
    model.to(device).eval()
    spec, image = model.spec, discs(options.side)
    to_image = upsampling(spec.frame(options.side, options.side), spec.mask_size)
    pixels = spec.to_model_frame(image)[None]
    features = model.encode(pixels.to(device))
    clicks = torch.from_numpy(point_grid(options.points) * spec.image_size).float()
    batch = GenerateSettings().points_per_batch
    answers = decode(model, features, clicks, batch)
    chosen = thresholds(answers, to_image, options.passing)
    settings = GenerateSettings.model_validate({"points_per_side": options.points, **chosen})
    found = generate(model, image, settings, features=features)
    seconds = least_seconds(
        [
            lambda: model.encode(pixels.to(device)),
            lambda: decode(model, features, clicks, batch),
            lambda: filtered(answers, to_image, settings),
            lambda: generate(model, image, settings),
        ],
        options.repeats,
    )
    print(
        f"{options.model} on {device} ({platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads); torch {torch.__version__}; image {options.side} x {options.side}"
    )
    print(f"thresholds {chosen}; {found.funnel}")
    columns = ["clock", "encoder", "decoder", "the rest", "whole", "of the limit", "rest's share"]
    table = Table(*columns, title=f"Seconds of {options.points**2:,} clicks")
    for name, (encoder, decoder, rest, whole) in seconds.items():
        limit = encoder + DECODERS * decoder
        times = (f"{value:.2f}" for value in (encoder, decoder, rest, whole))
        table.add_row(name, *times, f"{whole / limit:.0%}", f"{rest / whole:.1%} (limit {REST:.0%})")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
