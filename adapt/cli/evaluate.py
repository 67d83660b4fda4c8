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
    from adapt import workflow

    workflow.evaluate(recipe, name=name, run_folder=run_folder, alphas=alphas, write_mix=write_mix)


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
