"""`adapt score`: predictions of any program against a truth, without a model or a recipe."""

import argparse
import math
import re
from pathlib import Path

from adapt.recipe import FolderData, MedicalData


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt score`."""
    what = "a folder of label maps (PNG, TIFF, NIfTI, NRRD, MHA) or one of them, or a COCO file (.json)"
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help=what)
    parser.add_argument("truth", type=Path, metavar="TRUTH", help="likewise, with the same names")
    parser.add_argument(
        "--label-kind",
        choices=("instances", "classes"),
        default="instances",
        help="what a value of a label map is: an object (default), or a class",
    )
    parser.add_argument(
        "--group-pattern",
        type=_pattern,
        metavar="REGEX",
        help="finds the patient, slide or scene in a name: '^(patient[0-9]+)_'",
    )
    parser.add_argument(
        "--min-score",
        type=_score,
        default=-math.inf,
        metavar="S",
        help="of COCO predictions: those below are left out of matching AP and panoptic quality",
    )
    parser.add_argument("--ignore-classes", action="store_true", help="of COCO files: all objects count as one class")
    parser.add_argument("--edges", action="store_true", help="of COCO files: edge F-score of the borders of masks too")
    for side in ("prediction", "truth"):
        about = f"what names of the {side} end in, such as _cp_masks; other files are left out"
        parser.add_argument(f"--{side}-suffix", default="", metavar="TEXT", help=about)
    parser.add_argument("--axes", metavar="LETTERS", help="of TIFFs that do not say what their axes are, such as ZYX")
    parser.add_argument("--json", type=Path, metavar="FILE", help="receives every figure, of each image too")
    for option, unit, default in (
        ("--max-pixels", "images", FolderData.model_fields["max_image_pixels"].default),
        ("--max-voxels", "volumes", MedicalData.model_fields["max_voxels"].default),
    ):
        about = f"larger {unit} are refused before decoding; {default:,} by default"
        parser.add_argument(option, type=int, default=default, metavar="N", help=about)


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression ({error})") from None
    if groups < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has no group in brackets, as in '^(patient[0-9]+)_'")
    return text


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return score


def run(options: argparse.Namespace) -> None:
    """Read, score, print and write."""
    import json
    from collections.abc import Iterable
    from dataclasses import asdict
    from typing import Any

    from rich.console import Console

    from adapt.errors import DataError
    from adapt.files import write_text
    from adapt.recipe.evaluation import EvaluationSettings
    from adapt.score import as_json, print_edges, print_figures, read_scenes, score_edges, summarise
    from adapt.score.files import Reading
    from adapt.score.scenes import Scene

    if options.json is not None and not options.json.absolute().parent.is_dir():
        raise DataError(f"--json {options.json}: its folder is not there; make it first")
    scenes: Iterable[Scene] = read_scenes(
        options.predictions,
        options.truth,
        label_kind=options.label_kind,
        group_pattern=options.group_pattern,
        min_score=options.min_score,
        ignore_classes=options.ignore_classes,
        prediction_suffix=options.prediction_suffix,
        truth_suffix=options.truth_suffix,
        reading=Reading(pixels=options.max_pixels, voxels=options.max_voxels, axes=options.axes),
    )
    written: dict[str, Any] = {}
    if options.edges:
        scenes = list(scenes)
        edges = score_edges(scenes)
        written["edges"] = None if edges is None else asdict(edges)
    figures = summarise(scenes, bootstrap_samples=EvaluationSettings().bootstrap_samples, seed=0)
    print_figures(figures, Console())
    if options.edges:
        print_edges(edges, Console())
    if options.json is not None:
        write_text(options.json, json.dumps({**as_json(figures), **written}, indent=2) + "\n")
