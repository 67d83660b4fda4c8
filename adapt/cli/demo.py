"""`adapt demo`: a local page to try a model on."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt demo`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder of a run, shown beside its untouched model; or a checkpoint alone: a folder, a Hub id, adapt:tiny",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="PATH",
        help="a file or a folder of images to pick from in the page; to try it, adapt:ct_phantom",
    )
    parser.add_argument("--port", type=int, metavar="N", help="of this machine; 0 takes a free one")
    parser.add_argument(
        "--recipe", metavar="NAME", help="how images are read; by default as by the run, or as plain pictures"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="replaces a value of the recipe: demo.shown_pixels=2048 trainer.accelerator=cpu",
    )


def run(options: argparse.Namespace) -> None:
    """Serve the page."""
    from adapt.jobs.demo import demo

    overrides = list(options.overrides)
    if options.port is not None:
        overrides.append(f"demo.port={options.port}")
    demo(options.model, images=options.images, recipe_name=options.recipe, overrides=overrides)
