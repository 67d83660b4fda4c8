"""`adapt predict`: masks for images nobody has labelled, in the format of their domain."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from adapt.errors import RecipeError

FORMATS = ("coco", "tiff", "nifti", "nrrd", "mha", "dicom_seg", "geotiff", "gpkg", "geojson")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt predict`."""
    parser.add_argument("model", metavar="MODEL", help="folder of a run, folder or Hub id of a checkpoint, adapt:tiny")
    parser.add_argument(
        "input",
        type=Path,
        metavar="INPUT",
        help="an image, volume or scene, or a folder of such, all of one kind; to try it, adapt:nuclei",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="receives the masks; goes on where it was stopped"
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="clicks and boxes: JSON, CSV, GeoJSON or GeoPackage on scenes, COCO boxes of a detector; without: all "
        "objects are looked for",
    )
    parser.add_argument(
        "--names",
        type=Path,
        metavar="FILE",
        help="COCO file whose numbers of images and categories stand in a detector's list of boxes (--prompts)",
    )
    parser.add_argument(
        "--text",
        action="append",
        metavar="PHRASE",
        default=[],
        help="look for all objects of a phrase, such as tumour; may be given more than once",
    )
    parser.add_argument(
        "--format",
        dest="formats",
        action="append",
        choices=FORMATS,
        default=[],
        help="instead of the format of the input's domain; may be given more than once",
    )
    parser.add_argument("--propagate", action="store_true", help="follow objects from their slice or frame through all")
    parser.add_argument("--overview", action="store_true", help="draw a small picture of each input with its objects")
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="how inputs are read; by default as by the run, or as usual for their kind",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="replaces a value of the recipe: generate.predicted_iou=0.7 trainer.accelerator=cpu",
    )


def run(options: argparse.Namespace) -> None:
    """Segment."""
    if options.names is not None and options.prompts is None:
        raise RecipeError("--names says what a detector's boxes are of, which come with --prompts FILE")
    text = check_text(options.text, prompts=options.prompts is not None, follow=options.propagate)
    from adapt.jobs.predict import predict_with
    from adapt.predict import Request

    request = Request(
        source=options.input.expanduser(),
        output=options.output.expanduser(),
        prompts=None if options.prompts is None else options.prompts.expanduser(),
        formats=tuple(dict.fromkeys(options.formats)),
        follow=options.propagate,
        overview=options.overview,
        text=text,
        names=None if options.names is None else options.names.expanduser(),
    )
    predict_with(options.model, request, recipe_name=options.recipe, overrides=options.overrides)


def check_text(phrases: Sequence[str], *, prompts: bool, follow: bool) -> tuple[str, ...]:
    """The phrases without spaces around them, each once, in their order.

    Raises:
        RecipeError: one is empty, or there are other prompts as well.
    """
    found = tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in phrases))
    if not all(found):
        raise RecipeError("--text is empty; name what is looked for in a few words, as in --text tumour")
    if found and prompts:
        raise RecipeError("--text looks for objects itself, and --prompts says where they are; give one of them")
    if found and follow:
        raise RecipeError("--text looks at each slice by itself, and --propagate follows objects; give one of them")
    return found
