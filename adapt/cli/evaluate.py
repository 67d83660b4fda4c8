"""`adapt evaluate`: the table of domain mIoU and Dice, alone."""

import argparse
from pathlib import Path

from adapt.cli.interpolation import parse_range, parse_share
from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of
from adapt.errors import RecipeError, RunError
from adapt.recipe import load_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt evaluate`."""
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="folder of a finished run: runs/<recipe>/<time>")
    add_recipe_arguments(parser, required=False)
    parser.add_argument(
        "--interpolate",
        metavar="FIRST:LAST:STEP",
        help="of a RUN: score mixes of the untouched (0) and the tuned (1) weights, as in 0:1:0.25",
    )
    parser.add_argument(
        "--propagate",
        action="store_true",
        help="of volumes and time series: prompt each object on its middle slice, follow it, and score it as a whole",
    )
    parser.add_argument(
        "--text",
        action="store_true",
        help="prompt each test image with the names of its categories, and score the masks beside those of true boxes",
    )
    parser.add_argument(
        "--fit-thresholds",
        action="store_true",
        help="of a RUN: first fit the thresholds of automatic masks on its validation split, and write them into it",
    )
    parser.add_argument("--write-mix", metavar="ALPHA", help="with --interpolate: write the model of this mix")


def run(options: argparse.Namespace) -> None:
    """Evaluate a run's tuned model beside the untouched one, or a recipe's untouched model alone."""
    if options.run_folder is not None and "=" in options.run_folder and not Path(options.run_folder).exists():
        options.overrides.insert(0, options.run_folder)
        options.run_folder = None
    if (options.run_folder is None) == (options.recipe is None):
        raise RecipeError(
            "evaluate takes the folder of a run, or --recipe for the untouched model; exactly one of them"
        )
    alphas, write_mix = _mixes(options)
    if options.fit_thresholds and (options.run_folder is None or alphas):
        raise RecipeError(
            "--fit-thresholds needs the folder of a run, into whose recipe they are written, and no --interpolate"
        )
    if options.propagate and (alphas or options.fit_thresholds):
        raise RecipeError("--propagate scores the model as it is; leave out --interpolate and --fit-thresholds")
    if options.text and (alphas or options.fit_thresholds or options.propagate):
        raise RecipeError(
            "--text scores the model as it is, by text; leave out --interpolate, --fit-thresholds and --propagate"
        )
    if options.run_folder is None:
        name, recipe = recipe_of(options)
        run_folder = None
    else:
        run_folder = Path(options.run_folder)
        saved = run_folder / "recipe.yaml"
        if not saved.is_file():
            raise RunError(f"{run_folder} is not the folder of a run: it has no recipe.yaml. Give runs/<recipe>/<time>")
        name, recipe = run_folder.resolve().parent.name, load_recipe(saved, options.overrides)
    if options.print_config:
        print_config(recipe)
        return
    if options.propagate:
        from adapt.jobs.propagation import evaluate_propagation

        evaluate_propagation(recipe, name=name, run_folder=run_folder)
        return
    if options.text:
        from adapt.jobs.evaluate_text import evaluate_text

        evaluate_text(recipe, name=name, run_folder=run_folder)
        return
    from adapt.jobs.evaluate import evaluate

    evaluate(
        recipe,
        name=name,
        run_folder=run_folder,
        alphas=alphas,
        write_mix=write_mix,
        fit_thresholds=options.fit_thresholds,
    )


def _mixes(options: argparse.Namespace) -> tuple[tuple[float, ...], float | None]:
    """The mixes to score, and the one to write, which is scored as well."""
    if options.interpolate is None:
        if options.write_mix is not None:
            raise RecipeError("--write-mix goes with --interpolate, as in --interpolate 0:1:0.25 --write-mix 0.5")
        return (), None
    if options.run_folder is None:
        raise RecipeError(
            "--interpolate needs the folder of a run: mixes are made of its tuned and the untouched model"
        )
    alphas = parse_range(options.interpolate)
    if options.write_mix is None:
        return alphas, None
    write_mix = parse_share(options.write_mix)
    return tuple(sorted({*alphas, write_mix})), write_mix
