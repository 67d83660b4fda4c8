"""`adapt evaluate`: the table of domain mIoU and Dice, alone."""

import argparse
from pathlib import Path

from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of
from adapt.errors import RecipeError, RunError
from adapt.recipe import load_recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt evaluate`."""
    parser.add_argument("run_folder", nargs="?", metavar="RUN", help="folder of a finished run: runs/<recipe>/<time>")
    add_recipe_arguments(parser, required=False)


def run(options: argparse.Namespace) -> None:
    """Evaluate a run's tuned model beside the untouched one, or a recipe's untouched model alone."""
    if options.run_folder is not None and "=" in options.run_folder and not Path(options.run_folder).exists():
        options.overrides.insert(0, options.run_folder)
        options.run_folder = None
    if (options.run_folder is None) == (options.recipe is None):
        raise RecipeError(
            "evaluate takes the folder of a run, or --recipe for the untouched model; exactly one of them"
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
    from adapt import workflow

    workflow.evaluate(recipe, name=name, run_folder=run_folder)
