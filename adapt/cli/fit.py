"""`adapt fit`: the main job. Fine-tune, compare with the untouched model, write the report."""

import argparse
from pathlib import Path

from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of
from adapt.errors import RecipeError
from adapt.resuming import AUTO, recipe_of_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt fit`."""
    add_recipe_arguments(parser, required=False)
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run that was stopped, given by its folder; auto, with --recipe: with the newest one of this "
        "recipe that has not finished, or begin one",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="read the data and the model, show the plan; train nothing, write no run"
    )
    parser.add_argument(
        "--auto-batch", action="store_true", help="find the largest batch that fits into memory, and train with it"
    )


def run(options: argparse.Namespace) -> None:
    """Check the recipe, then fit."""
    if (options.recipe is None) == (options.resume in (None, AUTO)):
        raise RecipeError(
            "fit takes --recipe NAME, or --resume RUN for a run that was stopped, which has a recipe; or both, as in "
            "--recipe NAME --resume auto"
        )
    if options.auto_batch and options.resume is not None:
        raise RecipeError(
            "--auto-batch finds a batch size for a run that begins, and one that goes on keeps its own; leave out "
            "--auto-batch or --resume, or set trainer.batch_size in the recipe"
        )
    if options.recipe is None:
        run_folder = Path(options.resume)
        name, recipe = recipe_of_run(run_folder, options.overrides)
    else:
        run_folder = options.resume
        name, recipe = recipe_of(options)
    if options.print_config:
        print_config(recipe)
        return
    from adapt.jobs.fit import fit
    from adapt.jobs.plan import plan

    if options.dry_run:
        plan(recipe, auto_batch=options.auto_batch)
    else:
        fit(recipe, name=name, run_folder=run_folder, auto_batch=options.auto_batch)
