"""From `--recipe NAME a.b=1` to a checked recipe; shared by the commands that take one."""

import argparse
from pathlib import Path

from adapt.recipe import Recipe, as_yaml, find_recipe, load_recipe


def add_recipe_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """`--recipe`, overrides and `--print-config`."""
    parser.add_argument(
        "--recipe", required=required, metavar="NAME", help="a packaged recipe, or the path of a YAML file"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="replaces a value of the recipe: data.root=/scans trainer.epochs=5 output=results",
    )
    parser.add_argument("--print-config", action="store_true", help="print the recipe with every default, and stop")


def recipe_of(options: argparse.Namespace) -> tuple[str, Recipe]:
    """Name and checked content of the recipe that the options ask for."""
    path: Path = find_recipe(options.recipe)
    return path.stem, load_recipe(path, options.overrides)


def print_config(recipe: Recipe) -> None:
    """The whole recipe as YAML, defaults included; it can be saved and used as a recipe."""
    print(as_yaml(recipe), end="")
