"""The stages of a curriculum, trained before the run itself."""

from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from adapt.build import (
    as_computed,
    make_data,
    make_splits,
    make_store,
    open_features,
    plan_lines,
    plan_training_features,
    tune,
)
from adapt.files import make_folder, write_text
from adapt.jobs.console import print_lines
from adapt.jobs.plan import steps_line
from adapt.jobs.stopping import stopping_rules
from adapt.jobs.training import train
from adapt.processes.group import Processes
from adapt.recipe import Recipe, as_yaml, stages
from adapt.runs import (
    MODEL,
    RECIPE,
    STAGES,
    TRAINING,
    write_folder,
)
from adapt.segmenters import PromptableSegmenter, load_segmenter


def train_stages(
    recipe: Recipe,
    segmenter: PromptableSegmenter,
    processes: Processes,
    *,
    folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> PromptableSegmenter:
    """Train the stages of the curriculum, one after the other; the segmenter as the last one leaves it.

    Each keeps its recipe, checkpoints and model in a folder of its own, from which a later fit can go on.
    """
    size = segmenter.spec.image_size
    for title, stage in stages(recipe):
        place = folder / STAGES / title
        if processes.agreed((place / TRAINING).is_file):
            segmenter = as_computed(stage, load_segmenter(str((place / MODEL).resolve())))
            console.print(f"stage {title} was trained before", highlight=False)
            continue
        segmenter = as_computed(stage, segmenter.at_input_size(stage.model.input_size or size))
        tune(stage, segmenter)
        store = make_store(stage, console)
        splits = make_splits(stage, store, console)
        kept = plan_training_features(stage, segmenter, store, splits)
        features = open_features(stage, segmenter, kept, precision=stage.trainer.precision, console=console)
        data = make_data(stage, store, splits, segmenter.spec, device, features=features)
        make_folder(place)
        if processes.first:
            write_text(place / RECIPE, as_yaml(stage))
        print_lines(
            [
                ("stage", title),
                *plan_lines(stage, data, segmenter, device, features=kept),
                ("steps", steps_line(stage, data)),
            ],
            console,
        )
        validated = bool(data.splits.validation)
        stops = stopping_rules(stage, segmenter, None, device=device, validated=validated)
        training = train(
            stage,
            data,
            segmenter,
            features=features,
            stops=stops,
            keep=partial(write_folder, place / MODEL, segmenter.save),
            processes=processes,
            folder=place,
            run_folder=folder,
            device=device,
            name=name,
            console=console,
        )
        console.print(f"stage {title} trained in {training}", highlight=False)
    return as_computed(recipe, segmenter.at_input_size(size))
