"""A run from beginning to end: prepare, plan, fit, evaluate. What it is made of comes from `build`."""

import json
import logging
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from adapt.batch_size import find_batch_size
from adapt.build import (
    as_computed,
    count_epochs,
    count_steps,
    make_data,
    make_segmenter,
    make_splits,
    make_store,
    open_features,
    pick_device,
    plan_lines,
    plan_training_features,
    store_lines,
    tune,
    tuned_from,
)
from adapt.comparison import compare, read_splits, unseen_groups
from adapt.datacheck import print_warnings, quick_findings
from adapt.datamodules import SegmentationDataModule, Splits, Store, split_groups, test_only
from adapt.errors import RunError
from adapt.files import write_text
from adapt.mixing import trade_off
from adapt.recipe import Recipe, as_yaml, load_recipe, stages
from adapt.retention import open_general_images
from adapt.runs import (
    ADAPTER,
    MODEL,
    RECIPE,
    SPLITS,
    STAGES,
    TRAINING,
    VERSIONS,
    check_writable,
    claimed,
    new_run_folder,
    versions,
    write_folder,
)
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.training import read_training, stopping_rules, train
from adapt.tuned import alike, check_trained, load_tuned, write_tuned
from adapt.tuning import merge as merge_inserted
from adapt.warming import warm
from adapt.wording import counted


def prepare(recipe: Recipe) -> None:
    """Make the store of a recipe's data, or open it if it is there, and print what it holds."""
    begun = time.monotonic()
    store = make_store(recipe, _console())
    lines = [*store_lines(store), ("seconds", f"{time.monotonic() - begun:.1f}"), ("store", str(store.folder))]
    _print_lines(lines, Console())


def warm_features(recipe: Recipe) -> None:
    """Fill the cache of frozen features, and print what was done."""
    begun = time.monotonic()
    done = warm(recipe, _console())
    print(f"{done}, {time.monotonic() - begun:.1f} s")


def plan(recipe: Recipe, *, auto_batch: bool) -> None:
    """Read data and model, print what `fit` would do; train nothing, write nothing but the prepared data."""
    console = _console()
    device = pick_device(recipe)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    print_warnings(quick_findings(recipe, store, splits), console)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    if auto_batch:
        recipe = _with_largest_batch(recipe, store, splits, segmenter, device, console)
    features = plan_training_features(recipe, segmenter, store, splits)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    lines = [*plan_lines(recipe, data, segmenter, device, features=features), ("steps", _steps(recipe, data))]
    _print_lines(lines, console)


def fit(recipe: Recipe, *, name: str, auto_batch: bool, run_folder: Path | None = None) -> Path:
    """Fine-tune, keep the best weights, compare with the untouched model, write the report.

    Args:
        recipe: checked.
        name: of the recipe; names the run folder.
        auto_batch: train with the largest batch that fits, rather than with the recipe's.
        run_folder: of a run to go on with, whatever it was stopped in; None begins a new one.

    Returns:
        The run folder.
    """
    console = _console()
    _quiet_libraries()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    print_warnings(quick_findings(recipe, store, splits), console)
    general = open_general_images(recipe, console)
    torch.manual_seed(recipe.seed)
    segmenter = make_segmenter(recipe)
    base = tuned_from(recipe, segmenter)
    if auto_batch:
        recipe = _with_largest_batch(recipe, store, splits, segmenter, device, console)
    kept = plan_training_features(recipe, segmenter, store, splits)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    stops = stopping_rules(recipe, segmenter, general, device=device, validated=bool(splits.validation))
    folder = _begin_folder(output, name, recipe, splits) if run_folder is None else run_folder
    with claimed(folder):
        if run_folder is not None:
            _go_on(folder, recipe, splits)
        plan = plan_lines(recipe, data, segmenter, device, features=kept)
        lines = [*plan, ("steps", _steps(recipe, data)), ("run folder", str(folder))]
        _print_lines(lines, console)
        if (folder / TRAINING).is_file():
            training, segmenter = read_training(folder), load_tuned(recipe, folder)
        else:
            if recipe.curriculum:
                segmenter = _train_stages(recipe, segmenter, folder=folder, device=device, name=name, console=console)
                tune(recipe, segmenter)
                stops = stopping_rules(recipe, segmenter, general, device=device, validated=bool(splits.validation))
            features = open_features(recipe, segmenter, kept, precision=recipe.trainer.precision, console=console)
            training = train(
                recipe,
                make_data(recipe, store, splits, segmenter.spec, device, features=features),
                segmenter,
                features=features,
                stops=stops,
                keep=partial(write_tuned, recipe, segmenter, base=base, folder=folder),
                folder=folder,
                run_folder=folder,
                device=device,
                name=name,
                console=console,
            )
        console.print(f"trained in {training}", highlight=False)
        compare(
            recipe,
            name,
            data,
            {"base": base, "tuned": segmenter},
            folder=folder,
            device=device,
            lines=lines,
            general=general,
            training=training,
            console=console,
        )
    return folder


def evaluate(
    recipe: Recipe,
    *,
    name: str,
    run_folder: Path | None,
    alphas: Sequence[float] = (),
    write_mix: float | None = None,
) -> None:
    """Compare a run's tuned model with the untouched one, or both with what lies between; or the untouched one alone.

    Args:
        recipe: of the run, or any.
        name: of the recipe.
        run_folder: of the run; None for the untouched model alone. The comparison is written into a new
            folder below it, so that nothing is overwritten.
        alphas: shares of the tuned weights in mixes to score instead; see `trade_off`.
        write_mix: of these, the one whose mix is written.
    """
    console = _console()
    _quiet_libraries()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    if run_folder is not None:
        check_trained(run_folder)
    store = make_store(recipe, console)
    general = None if run_folder is None else open_general_images(recipe, console)
    models = {"base": make_segmenter(recipe)}
    if run_folder is None and recipe.split.test_groups:
        splits = test_only(store.groups, list(recipe.split.test_groups))
    elif run_folder is None:
        splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    else:
        splits = unseen_groups(recipe, store, run_folder)
        models["tuned"] = load_tuned(recipe, run_folder)
    data = make_data(recipe, store, splits, models["base"].spec, device)
    folder = _begin_folder(output, f"{name}/untouched" if run_folder is None else "evaluations", recipe, splits)
    lines = [*plan_lines(recipe, data, models["base"], device)[:3], ("run folder", str(folder))]
    _print_lines(lines, console)
    if alphas:
        models["base"], models["tuned"] = alike(recipe, models["base"], models["tuned"])
        trade_off(
            recipe,
            data,
            models,
            alphas=alphas,
            write_mix=write_mix,
            general=general,
            folder=folder,
            device=device,
            facts={"recipe": name, "checkpoint": recipe.model.checkpoint, "revision": recipe.model.revision},
            console=console,
        )
        return
    compare(
        recipe,
        name,
        data,
        models,
        folder=folder,
        device=device,
        lines=lines,
        general=general,
        training=None,
        console=console,
    )


def merge(run_folder: Path, output: Path) -> None:
    """Write the tuned model of a run that kept an adapter as a stock checkpoint.

    Args:
        run_folder: of the run.
        output: a new folder.

    Raises:
        RunError: the run has a stock checkpoint already, or the output is there.
        CheckpointError: no stock checkpoint gives what the run's model gives; or see `load_tuned`.
    """
    check_trained(run_folder)
    if (run_folder / MODEL).is_dir():
        raise RunError(f"{run_folder} needs no merging: {run_folder / MODEL} is a stock checkpoint already")
    if output.exists():
        raise RunError(f"{output} is there already; give --output a new folder")
    check_writable(output)
    segmenter = load_tuned(load_recipe(run_folder / RECIPE), run_folder)
    merge_inserted(segmenter)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_folder(output, segmenter.save)
    print(output)


def _train_stages(
    recipe: Recipe, segmenter: PromptableSegmenter, *, folder: Path, device: torch.device, name: str, console: Console
) -> PromptableSegmenter:
    """Train the stages of the curriculum, one after the other; the segmenter as the last one leaves it.

    Each keeps its recipe, checkpoints and model in a folder of its own, from which a later fit can go on.
    """
    size = segmenter.spec.image_size
    for title, stage in stages(recipe):
        place = folder / STAGES / title
        if (place / TRAINING).is_file():
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
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / RECIPE, as_yaml(stage))
        _print_lines(
            [
                ("stage", title),
                *plan_lines(stage, data, segmenter, device, features=kept),
                ("steps", _steps(stage, data)),
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
            folder=place,
            run_folder=folder,
            device=device,
            name=name,
            console=console,
        )
        console.print(f"stage {title} trained in {training}", highlight=False)
    return as_computed(recipe, segmenter.at_input_size(size))


def _with_largest_batch(
    recipe: Recipe,
    store: Store,
    splits: Splits,
    segmenter: PromptableSegmenter,
    device: torch.device,
    console: Console,
) -> Recipe:
    """The recipe with the largest batch that fits."""
    train = set(splits.train)
    of_images = zip(store.groups, store.rows["categories"], strict=True)
    objects = [len(names) for group, names in of_images if group in train]
    size = find_batch_size(recipe, segmenter, images=len(objects), objects=max(objects), device=device, console=console)
    return recipe.model_copy(update={"trainer": recipe.trainer.model_copy(update={"batch_size": size})})


def _begin_folder(output: Path, name: str, recipe: Recipe, splits: Splits) -> Path:
    """A new folder below `output/name` with all that is needed to run the same again."""
    folder = new_run_folder(output, name)
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    return folder


def _go_on(folder: Path, recipe: Recipe, splits: Splits) -> None:
    """Make a run's folder ready to go on with.

    Raises:
        RunError: the data are split differently now.
    """
    saved = read_splits(folder)
    for part in ("train", "validation", "test"):
        if set(getattr(saved, part)) != set(getattr(splits, part)):
            raise RunError(
                f"{folder / SPLITS}: the data have changed since this run began, the {part} groups are others; put "
                "them back, or fit again"
            )
    write_text(folder / RECIPE, as_yaml(recipe))  # tracking and evaluation may be other than before
    for place in (folder, *(folder / STAGES).glob("*")):
        if not (place / TRAINING).is_file():
            for kept in (MODEL, ADAPTER):  # of a training that somebody has stopped in the middle
                shutil.rmtree(place / kept, ignore_errors=True)


def _print_lines(lines: list[tuple[str, str]], console: Console) -> None:
    for name, value in lines:
        console.print(f"{name:<11} {value}", highlight=False, markup=False, soft_wrap=True)


def _steps(recipe: Recipe, data: SegmentationDataModule) -> str:
    """Epochs and steps of a fit, and why they are more than `trainer.epochs`, if they are."""
    steps = count_steps(recipe, data)
    epochs = count_epochs(recipe, steps_per_epoch=steps)
    text = f"{counted(epochs, 'epoch')} of {counted(steps, 'step')}, {epochs * steps} in all"
    if epochs > recipe.trainer.epochs:
        text += f" (not {recipe.trainer.epochs}, since trainer.min_steps={recipe.trainer.min_steps}; 0 lifts it)"
    return text


def _console() -> Console:
    """Progress and notices go to stderr, so that the table alone is on stdout."""
    return Console(stderr=True)


def _quiet_libraries() -> None:
    """What the libraries say about themselves; each line would hide what this run has to say."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if sys.warnoptions:
        return  # the user, or a test, has said which warnings to see
    for message in (
        ".*module.s. in eval mode at the start of training.*",  # the frozen encoder is meant to be
        ".*does not have many workers.*",  # `trainer.workers` is a choice of the recipe
        ".*number of training batches.*is smaller than the logging interval.*",  # small data sets are usual here
        ".*isinstance.treespec, LeafSpec.*",  # torch deprecates what lightning 2.6 still calls
    ):
        warnings.filterwarnings("ignore", message=message)
