"""`adapt doctor`: what this machine can run, and what a checkpoint is."""

import argparse
import os
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt doctor`."""
    parser.add_argument("checkpoint", nargs="?", metavar="CHECKPOINT", help="folder, file or Hub id to be examined")
    parser.add_argument(
        "--cache", metavar="FOLDER", default="~/.cache/adapt", help="the recipe's cache (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Print what is there; 1 if the checkpoint cannot be used."""
    from adapt.doctor import examine, extras, machine, services

    cache = Path(options.cache).expanduser()
    _print("This machine", machine(cache))
    _print("Optional parts", extras())
    _print("Accounts (the network is not asked)", services(os.environ, Path.home()))
    if options.checkpoint is None:
        return 0
    verdict = examine(options.checkpoint)
    answer = {True: "yes", False: "no", None: "not known without the network"}[verdict.usable]
    _print("Checkpoint", [*verdict.lines, ("usable", answer)])
    return 1 if verdict.usable is False else 0


def _print(title: str, lines: list[tuple[str, str]]) -> None:
    print(title)
    for name, value in lines:
        print(f"  {name:<12} {value}")
