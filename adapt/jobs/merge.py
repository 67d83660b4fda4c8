"""The tuned model of a run that kept an adapter, as a stock checkpoint."""

from pathlib import Path

from adapt.errors import RunError
from adapt.files import make_folder
from adapt.jobs.tuned import check_trained, load_tuned, write_stock
from adapt.recipe import load_recipe
from adapt.runs import (
    MODEL,
    RECIPE,
    check_writable,
)
from adapt.tuning import merge as merge_inserted


def merge(run_folder: Path, output: Path) -> None:
    """Write the tuned model of a run that kept an adapter as a stock checkpoint.

    Args:
        run_folder: of the run.
        output: a new folder.

    Raises:
        RunError: the run has a stock checkpoint already, or the output is there.
        CheckpointError: no stock checkpoint gives what the run's model gives; or see `load_tuned`.
    """
    check_trained(run_folder)
    if (run_folder / MODEL).is_dir():
        raise RunError(f"{run_folder} needs no merging: {run_folder / MODEL} is a stock checkpoint already")
    if output.exists():
        raise RunError(f"{output} is there already; give --output a new folder")
    check_writable(output)
    recipe = load_recipe(run_folder / RECIPE)
    segmenter = load_tuned(recipe, run_folder)
    merge_inserted(segmenter)
    make_folder(output.parent, then="or give --output another folder")
    write_stock(recipe, segmenter, output)
    print(output)
