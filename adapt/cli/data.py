"""`adapt data`: look at the data before training on it."""

import argparse
from pathlib import Path

from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt data`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "find what is wrong with the data: exit code 0 fine, 1 warnings with --strict, 2 errors"
    check = actions.add_parser("check", help=about, description=about)
    add_recipe_arguments(check, required=True)
    check.add_argument("--strict", action="store_true", help="exit with 1 if there are warnings")
    check.add_argument(
        "--output",
        dest="folder",
        type=Path,
        metavar="FOLDER",
        help="receives check.json and contact_sheet.png; by default runs/<recipe>/checks/<time>",
    )
    about = "read and store the data now, so that a training starts at once; goes on where it was stopped"
    prepare = actions.add_parser("prepare", help=about, description=about)
    add_recipe_arguments(prepare, required=True)


def run(options: argparse.Namespace) -> int:
    """Check or prepare."""
    name, recipe = recipe_of(options)
    if options.print_config:
        print_config(recipe)
        return 0
    if options.action == "check":
        from adapt.datacheck import check_data

        return check_data(recipe, name=name, folder=options.folder, strict=options.strict)
    from adapt.jobs.prepare import prepare

    prepare(recipe)
    return 0
