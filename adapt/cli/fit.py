"""`adapt fit`: the main job. Fine-tune, compare with the untouched model, write the report."""

import argparse

from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt fit`."""
    add_recipe_arguments(parser, required=True)
    parser.add_argument(
        "--dry-run", action="store_true", help="read the data and the model, show the plan; train nothing, write no run"
    )
    parser.add_argument(
        "--auto-batch", action="store_true", help="find the largest batch that fits into memory, and train with it"
    )


def run(options: argparse.Namespace) -> None:
    """Check the recipe, then fit."""
    name, recipe = recipe_of(options)
    if options.print_config:
        print_config(recipe)
        return
    from adapt import workflow

    if options.dry_run:
        workflow.plan(recipe, auto_batch=options.auto_batch)
    else:
        workflow.fit(recipe, name=name, auto_batch=options.auto_batch)
