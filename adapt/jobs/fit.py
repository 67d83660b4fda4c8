"""A run from beginning to end: prepare, plan, train, compare. What it is made of comes from `build`."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from adapt.build import (
    check_model,
    make_data,
    make_segmenter,
    make_splits,
    make_store,
    make_vocabulary,
    open_features,
    pick_device,
    plan_lines,
    plan_training_features,
    tune,
    tuned_from,
)
from adapt.concepts import Vocabulary
from adapt.datacheck import print_warnings, quick_findings
from adapt.datamodules import Splits, Store
from adapt.datamodules.embeddings import ObjectEmbeddings
from adapt.features import FeaturePlan
from adapt.jobs.automatic import generation_of, suited
from adapt.jobs.comparison import compare
from adapt.jobs.concepts import evaluate_concepts
from adapt.jobs.console import make_console, print_lines, quiet_libraries
from adapt.jobs.embedding import object_embeddings
from adapt.jobs.label_maps import evaluate_label_maps
from adapt.jobs.plan import steps_line, with_batch, with_largest_batch
from adapt.jobs.push import check_push_after_fit, push_after_fit
from adapt.jobs.retention import GeneralImages, open_general_images
from adapt.jobs.run_folder import begin_folder, go_on
from adapt.jobs.stages import train_stages
from adapt.jobs.stopping import stopping_rules
from adapt.jobs.text_ways import TUNED, UNTOUCHED
from adapt.jobs.tracked import track_outcome
from adapt.jobs.training import train
from adapt.jobs.training_figures import Training, read_training
from adapt.jobs.tuned import load_tuned, write_tuned
from adapt.processes.collective import least
from adapt.processes.group import Processes, started
from adapt.processes.launcher import placed
from adapt.recipe import Recipe
from adapt.resuming import AUTO, newest_unfinished
from adapt.runs import (
    TRAINING,
    check_writable,
    claimed,
)
from adapt.segmenters import PromptableSegmenter


def fit(recipe: Recipe, *, name: str, auto_batch: bool, run_folder: Path | Literal["auto"] | None = None) -> Path:
    """Fine-tune, keep the best weights, compare with the untouched model, write the report.

    Several processes train together; the first one alone writes, and compares when they have parted.

    Args:
        recipe: checked.
        name: of the recipe; names the run folder.
        auto_batch: train with the largest batch that fits, rather than with the recipe's.
        run_folder: of a run to go on with, whatever it was stopped in; `auto`: the newest one that has not finished,
            if there is one. None begins a new one.

    Returns:
        The run folder.
    """
    quiet_libraries()
    device = pick_device(recipe)
    recipe = placed(recipe, device)
    with started(recipe, device) as processes, ExitStack() as claims:
        console, output = make_console(processes), Path(recipe.output).expanduser()
        if run_folder == AUTO:
            run_folder = processes.agreed(lambda: newest_unfinished(recipe, name=name))
        begun = None if run_folder is None else Path(run_folder)

        def make() -> Made:
            check_writable(begun or output)
            check_model(recipe)
            check_push_after_fit(recipe, console)
            return _make(recipe, device, console)

        made = processes.together(make)
        if auto_batch:
            largest = partial(with_largest_batch, recipe, made.store, made.splits, made.segmenter, device, console)
            found = processes.together(largest).trainer.batch_size
            recipe = with_batch(recipe, least(found, device))  # devices may have other memory, or other guests
        data = make_data(recipe, made.store, made.splits, made.segmenter.spec, device)
        folder = begun or processes.agreed(
            lambda: begin_folder(Path(recipe.output).expanduser(), name, recipe, made.splits)
        )
        processes.agreed(lambda: claims.enter_context(claimed(folder)))
        if begun is not None:
            processes.agreed(lambda: go_on(folder, recipe, made.splits))
        plan = plan_lines(recipe, data, made.segmenter, device, features=made.kept)
        lines = [*plan, ("steps", steps_line(recipe, data)), ("run folder", str(folder))]
        print_lines(lines, console)
        training, segmenter = _trained(
            recipe, made, processes, folder=folder, device=device, name=name, console=console
        )
        processes.part()
        if processes.first:
            console.print(f"trained in {training}", highlight=False)
            if recipe.semantic.classes:
                evaluate_label_maps(
                    recipe,
                    name,
                    data,
                    segmenter,
                    folder=folder,
                    device=device,
                    lines=lines,
                    training=training,
                    console=console,
                )
            elif recipe.concepts.learn:
                evaluate_concepts(
                    recipe,
                    name,
                    data,
                    {UNTOUCHED: made.base, TUNED: segmenter},
                    folder=folder,
                    device=device,
                    lines=lines,
                    training=training,
                    console=console,
                )
            else:
                models = {"base": made.base, "tuned": segmenter}
                validation = made.splits.validation
                recipe = suited(recipe, folder, made.store, models, groups=validation, device=device, console=console)
                results = compare(
                    recipe,
                    name,
                    data,
                    models,
                    generation=generation_of(recipe, folder),
                    folder=folder,
                    device=device,
                    lines=lines,
                    general=made.general,
                    training=training,
                    console=console,
                )
                track_outcome(recipe, results, name=name, folder=folder, console=console)
            if made.embeddings is not None:
                console.print(
                    f"clicks and boxes have not changed; how well texts find: adapt evaluate {folder} --text",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
            push_after_fit(recipe, folder, console)
    return folder


class Made(NamedTuple):
    """What a fit begins with."""

    store: Store
    splits: Splits
    general: GeneralImages | None
    segmenter: PromptableSegmenter
    base: PromptableSegmenter
    stops: list[Callback]
    kept: FeaturePlan | None
    embeddings: ObjectEmbeddings | None
    vocabulary: Vocabulary | None


def _make(recipe: Recipe, device: torch.device, console: Console) -> Made:
    """Data and models of a fit; what trains is chosen."""
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    print_warnings(quick_findings(recipe, store, splits), console)
    unprompted = recipe.semantic.classes or recipe.concepts.learn
    general = None if unprompted else open_general_images(recipe, console)
    torch.manual_seed(recipe.seed)
    segmenter = make_segmenter(recipe)
    vocabulary = make_vocabulary(recipe, segmenter, store)
    base = tuned_from(recipe, segmenter)
    stops = stopping_rules(recipe, segmenter, general, device=device, validated=bool(splits.validation))
    kept = plan_training_features(recipe, segmenter, store, splits)
    embeddings = object_embeddings(recipe, store, splits, device=device, console=console)
    return Made(store, splits, general, segmenter, base, stops, kept, embeddings, vocabulary)


def _trained(
    recipe: Recipe,
    made: Made,
    processes: Processes,
    *,
    folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> tuple[Training, PromptableSegmenter]:
    """Train, stages first, or read what was trained before: its figures, and the tuned segmenter."""
    segmenter, stops = made.segmenter, made.stops
    if processes.agreed((folder / TRAINING).is_file):
        return read_training(folder), load_tuned(recipe, folder)
    if recipe.curriculum:
        segmenter = train_stages(recipe, segmenter, processes, folder=folder, device=device, name=name, console=console)
        tune(recipe, segmenter)
        validated = bool(made.splits.validation)
        stops = stopping_rules(recipe, segmenter, made.general, device=device, validated=validated)
    features = open_features(recipe, segmenter, made.kept, precision=recipe.trainer.precision, console=console)
    training = train(
        recipe,
        make_data(
            recipe,
            made.store,
            made.splits,
            segmenter.spec,
            device,
            features=features,
            embeddings=made.embeddings,
        ),
        segmenter,
        features=features,
        vocabulary=made.vocabulary,
        stops=stops,
        keep=partial(write_tuned, recipe, segmenter, base=made.base, folder=folder),
        processes=processes,
        folder=folder,
        run_folder=folder,
        device=device,
        name=name,
        console=console,
    )
    return training, segmenter
