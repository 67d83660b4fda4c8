"""`adapt recipes`: look at the packaged recipes, or take one as a start."""

import argparse
import json
from pathlib import Path

from adapt.errors import RecipeError
from adapt.recipe import Recipe, describe_recipes, find_recipe, keys_page
from adapt.unwritable import unwritable

RECIPE = "a packaged recipe; adapt recipes list names them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt recipes`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_action(actions, "list", "names and what they are for")
    show = _add_action(actions, "show", "print a recipe")
    show.add_argument("name", metavar="RECIPE", help=RECIPE)
    copy = _add_action(actions, "copy", "write a recipe to a file of your own; never overwrites")
    copy.add_argument("name", metavar="RECIPE", help=RECIPE)
    copy.add_argument("target", nargs="?", metavar="TARGET", help="file or folder; by default NAME.yaml here")
    _add_action(actions, "keys", "print every key of a recipe as Markdown: type, default, meaning")
    _add_action(actions, "schema", "print the JSON Schema of recipes, for editors")


def _add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=about, description=about)


def run(options: argparse.Namespace) -> None:
    """List, show, copy, or print the keys or the schema."""
    if options.action == "list":
        rows = describe_recipes()
        width = max(len(name) for name, _ in rows)
        for name, description in rows:
            print(f"{name:<{width}}  {description}")
    elif options.action == "show":
        print(find_recipe(options.name).read_text(encoding="utf-8"), end="")
    elif options.action == "copy":
        _copy(find_recipe(options.name), options.target)
    elif options.action == "keys":
        print(keys_page(), end="")
    else:
        print(json.dumps(Recipe.model_json_schema(), indent=2))


def _copy(source: Path, target: str | None) -> None:
    destination = Path(target) if target is not None else Path(source.name)
    if destination.is_dir():
        destination = destination / source.name
    try:
        with destination.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError:
        raise RecipeError(f"{destination} exists already and is not overwritten; name another target") from None
    except OSError as error:
        raise RecipeError(unwritable(destination, error, "or name another target")) from None
    print(f"wrote {destination}; run it with: adapt fit --recipe {destination}")
