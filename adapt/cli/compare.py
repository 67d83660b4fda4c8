"""`adapt compare`: finished runs side by side, on the same test objects."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt compare`."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folder of a finished run, or of an evaluation; the others are compared with the first",
    )
    parser.add_argument("--common", action="store_true", help="compare on the objects that all runs were tested on")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="receives compare.json and compare.csv")


def run(options: argparse.Namespace) -> None:
    """Read, compare, print and write."""
    from adapt.evaluate.side_by_side import compare_runs, read_runs
    from adapt.evaluate.side_by_side_tables import print_comparison, write_comparison
    from adapt.recipe.evaluation import EvaluationSettings
    from adapt.terminal import Terminal

    runs = read_runs(options.folders)
    samples = EvaluationSettings().bootstrap_samples
    comparison = compare_runs(runs, only_common=options.common, bootstrap_samples=samples, seed=0)
    print_comparison(comparison, Terminal())
    if options.output is not None:
        write_comparison(comparison, options.output)
