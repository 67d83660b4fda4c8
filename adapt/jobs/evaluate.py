"""A run's tuned model scored again beside the untouched one; or the untouched one alone."""

from collections.abc import Sequence
from pathlib import Path

from adapt.build import (
    make_data,
    make_segmenter,
    make_store,
    pick_device,
    plan_lines,
)
from adapt.datamodules import split_groups, test_only
from adapt.errors import RunError
from adapt.jobs.automatic import fit_run, generation_of
from adapt.jobs.comparison import compare
from adapt.jobs.console import make_console, print_lines, quiet_libraries
from adapt.jobs.label_maps import evaluate_label_maps
from adapt.jobs.mixing import trade_off
from adapt.jobs.retention import open_general_images
from adapt.jobs.run_folder import begin_folder, read_splits
from adapt.jobs.tested_groups import unseen_groups
from adapt.jobs.tuned import alike, check_trained, load_tuned
from adapt.recipe import LabelSettings, Recipe
from adapt.runs import (
    check_writable,
)


def evaluate(
    recipe: Recipe,
    *,
    name: str,
    run_folder: Path | None,
    alphas: Sequence[float] = (),
    write_mix: float | None = None,
    fit_thresholds: bool = False,
) -> None:
    """Compare a run's tuned model with the untouched one, or both with what lies between; or the untouched one alone.

    Args:
        recipe: of the run, or any.
        name: of the recipe.
        run_folder: of the run; None for the untouched model alone. The comparison is written into a new
            folder below it, so that nothing is overwritten.
        alphas: shares of the tuned weights in mixes to score instead; see `trade_off`.
        write_mix: of these, the one whose mix is written.
        fit_thresholds: fit those of generation to the tuned model first, and write them into the run.
    """
    classes = bool(recipe.semantic.classes)
    if classes and (run_folder is None or alphas or fit_thresholds):
        raise RunError(
            "a model with semantic.classes is scored alone, as a run has tuned it: the untouched one knows no classes; "
            "give the folder of a run, without --interpolate and --fit-thresholds"
        )
    if recipe.concepts.learn:
        raise RunError("a model of concepts (concepts.learn) is asked by text: give --text, and no other way to score")
    console = make_console()
    quiet_libraries()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    if run_folder is not None:
        check_trained(run_folder)
    recipe = recipe.model_copy(update={"label": LabelSettings()})  # only what people have labelled is scored on
    store = make_store(recipe, console)
    general = None if run_folder is None or classes else open_general_images(recipe, console)
    models = {"base": make_segmenter(recipe)}
    if run_folder is None and recipe.split.test_groups:
        splits = test_only(store.groups, list(recipe.split.test_groups))
    elif run_folder is None:
        splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    else:
        splits = unseen_groups(recipe, store, run_folder)
        models["tuned"] = load_tuned(recipe, run_folder)
    if run_folder is not None and fit_thresholds:
        groups = read_splits(run_folder).validation
        fitted = fit_run(recipe, run_folder, store, models, groups=groups, device=device, console=console)
        recipe = recipe.model_copy(update={"generate": fitted.apply(recipe.generate)})
        print(fitted)
    generation = generation_of(recipe, run_folder)
    data = make_data(recipe, store, splits, models["base"].spec, device)
    folder = begin_folder(output, f"{name}/untouched" if run_folder is None else "evaluations", recipe, splits)
    lines = [*plan_lines(recipe, data, models["base"], device)[:3], ("run folder", str(folder))]
    print_lines(lines, console)
    if classes:
        evaluate_label_maps(
            recipe,
            name,
            data,
            models["tuned"],
            folder=folder,
            device=device,
            lines=lines,
            training=None,
            console=console,
        )
        return
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
        generation=generation,
        folder=folder,
        device=device,
        lines=lines,
        general=general,
        training=None,
        console=console,
    )
