"""From a finished run to files that other programs run, each checked, and the quantised one measured."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from adapt.build import make_data, make_store
from adapt.errors import RunError
from adapt.evaluate import Measures, score_samples, summarise
from adapt.export import (
    DECODER_INT8,
    LABELS,
    OPSET,
    check_extra,
    check_files,
    open_decoder,
    with_decoder,
    write_decoder,
    write_encoder,
    write_quantised,
)
from adapt.files import make_folder
from adapt.jobs.tested_groups import unseen_groups
from adapt.jobs.tuned import check_prompted, load_tuned
from adapt.recipe import Recipe, load_recipe
from adapt.runs import RECIPE, check_writable, write_folder
from adapt.segmenters import PromptableSegmenter
from adapt.segmenters.sam import FAMILY as SAM
from adapt.tuning import merge

FACTS = "export.json"


def export(run_folder: Path, output: Path, *, int8: bool) -> None:
    """Write encoder and decoder of a run's model into a new folder, and print what was checked.

    Args:
        run_folder: of the run.
        output: a new folder; it is there whole or not at all.
        int8: write a quantised decoder as well, and measure on the test split of the run what it costs.

    Raises:
        RunError: a library is missing, the model's family is not exported, the folder is there, or a file does not
            answer as the model.
        DataError: int8 is measured on the run's data, and they cannot be read.
        CheckpointError: see `load_tuned` and `merge`.
    """
    check_extra()
    if output.exists():
        raise RunError(f"{output} is there already; give --output a new folder")
    check_writable(output)
    recipe = load_recipe(run_folder / RECIPE, ["model.attention=stock"])
    check_prompted(recipe, "export")
    segmenter = load_tuned(recipe, run_folder)
    check_exportable(segmenter.family)
    merge(segmenter)
    console = Console(stderr=True)
    make_folder(output.parent, then="or give --output another folder")

    def fill(folder: Path) -> None:
        console.print("exporting; this takes a minute or two", highlight=False)
        write_encoder(segmenter.model, folder)
        write_decoder(segmenter.model, folder)
        facts: dict[str, Any] = {**_facts(segmenter), "off_by": check_files(segmenter, folder)}
        if int8:
            write_quantised(folder)
            facts["int8"] = _measured(recipe, run_folder, segmenter, folder / DECODER_INT8, console)
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    write_folder(output, fill)
    _print(output)


def check_exportable(family: str) -> None:
    """Refuse families whose parts are not those that are traced.

    Raises:
        RunError: names the one that is exported, and what to do.
    """
    if family != SAM.name:
        raise RunError(
            f"the run's model is a {family} model, and only {SAM.name} models are exported; fit one of those "
            "(model.checkpoint=facebook/sam-vit-base), or push the model and load it with transformers"
        )


def _facts(segmenter: PromptableSegmenter) -> dict[str, Any]:
    """What a program needs to know to run the files."""
    spec = segmenter.spec
    return {
        "opset": OPSET,
        "image_size": spec.image_size,
        "mask_size": spec.mask_size,
        "pixel_mean": spec.pixel_mean,
        "pixel_std": spec.pixel_std,
        "labels": LABELS,
    }


def _measured(
    recipe: Recipe, run_folder: Path, segmenter: PromptableSegmenter, decoder: Path, console: Console
) -> dict[str, Any]:
    """What the quantised decoder scores on the run's test split, beside the model's own, from the same features."""
    device = torch.device("cpu")
    store = make_store(recipe, console)
    splits = unseen_groups(recipe, store, run_folder)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    rows = data.test_samples()
    console.print(f"measuring the int8 decoder on {len(rows)} test images", highlight=False)
    settings = recipe.evaluation
    of_images = score_samples(
        (store.sample(row) for row in rows),
        {"base": segmenter, "tuned": with_decoder(segmenter, open_decoder(decoder))},
        protocols=list(settings.protocols),
        measures=Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance),
        device=device,
    )
    scores = [score for of_image in of_images for score in of_image]
    results = summarise(scores, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed)
    return {
        name: {
            "float32": figures.base.miou,
            "int8": None if figures.tuned is None else figures.tuned.miou,
            "difference": None if figures.difference is None else asdict(figures.difference),
        }
        for name, figures in results.protocols.items()
    }


def _print(output: Path) -> None:
    facts = json.loads((output / FACTS).read_text(encoding="utf-8"))
    print(f"{output}: ONNX, opset {facts['opset']}, and programs of torch.export")
    for name, apart in facts["off_by"].items():
        print(f"  {name:<18} off by {apart:.1e} of the largest value, on random prompts")
    for protocol, found in facts.get("int8", {}).items():
        print(
            f"  {DECODER_INT8:<18} {protocol.replace('_', ' ')}: mIoU {found['int8']:.4f}, float32 "
            f"{found['float32']:.4f} ({found['difference']['miou']:+.4f})"
        )
