"""`adapt merge`: from a run that kept an adapter to a stock checkpoint."""

import argparse
from pathlib import Path

from adapt.errors import RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt merge`."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a finished run: runs/<recipe>/<time>")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="new folder, for the checkpoint")


def run(options: argparse.Namespace) -> None:
    """Check that it is a run, then merge."""
    run_folder = Path(options.run_folder)
    if not (run_folder / "recipe.yaml").is_file():
        raise RunError(f"{run_folder} is not the folder of a run: it has no recipe.yaml. Give runs/<recipe>/<time>")
    from adapt.jobs.merge import merge

    merge(run_folder, Path(options.output))
