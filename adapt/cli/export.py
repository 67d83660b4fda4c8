"""`adapt export`: a run's model as ONNX, for programs without PyTorch."""

import argparse
from pathlib import Path

from adapt.errors import RunError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt export`."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a finished run: runs/<recipe>/<time>")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="new folder, for the files")
    parser.add_argument(
        "--no-int8",
        action="store_true",
        help="leave out the decoder in 8 bits, which is measured on the run's test split and so needs its data",
    )


def run(options: argparse.Namespace) -> None:
    """Check that it is a run, then export."""
    run_folder = Path(options.run_folder)
    if not (run_folder / "recipe.yaml").is_file():
        raise RunError(f"{run_folder} is not the folder of a run: it has no recipe.yaml. Give runs/<recipe>/<time>")
    from adapt.jobs.export import export

    export(run_folder, Path(options.output), int8=not options.no_int8)
