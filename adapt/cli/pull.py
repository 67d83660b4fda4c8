"""`adapt pull`: a recipe that starts from a pushed model."""

import argparse
from pathlib import Path

from adapt.errors import RecipeError
from adapt.recipe import check_repo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt pull`."""
    parser.add_argument("repo", metavar="OWNER/NAME", help="repository that adapt push has made")
    parser.add_argument("--revision", help="branch, tag or commit; by default the newest")
    parser.add_argument(
        "--output",
        required=True,
        metavar="RECIPE.yaml|FOLDER",
        help="a new recipe that names the repository; or a new folder with recipe and model, to fit without a network",
    )


def run(options: argparse.Namespace) -> None:
    """Check the name, then pull."""
    try:
        check_repo(options.repo)
    except ValueError as error:
        raise RecipeError(str(error)) from None
    from rich.console import Console

    from adapt.hub import read_pushed, write_recipe, write_start

    console = Console(stderr=True)

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    output = Path(options.output)
    pulled = read_pushed(options.repo, options.revision, tell=tell)
    if output.suffix in (".yaml", ".yml"):
        write_recipe(pulled, output)
    else:
        output = write_start(pulled, output, tell=tell)
    data = f" data.root={pulled.recipe.data.root}" if "data.root" in pulled.left_out else ""
    print(f"wrote {output}; go on with: adapt fit --recipe {output}{data}")
