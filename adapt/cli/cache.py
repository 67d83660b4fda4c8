"""`adapt cache`: the frozen features that are kept between epochs and runs."""

import argparse
import time
from datetime import datetime
from pathlib import Path

from adapt.cli.resolve import add_recipe_arguments, print_config, recipe_of
from adapt.recipe import Recipe

DAY = 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `adapt cache`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "what is kept, of which model, how large it is and when it was last used"
    _add_folder(actions.add_parser("info", help=about, description=about))
    about = "encode the images of a recipe now, so that a training finds their features"
    add_recipe_arguments(actions.add_parser("warm", help=about, description=about), required=True)
    about = "remove kept features; they are computed again where they are needed"
    clear = actions.add_parser("clear", help=about, description=about)
    _add_folder(clear)
    clear.add_argument("--unused-days", type=_days, metavar="N", help="only those that were not used for N days")


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return days


def _add_folder(parser: argparse.ArgumentParser) -> None:
    default = str(Recipe.model_fields["cache"].default)
    parser.add_argument(
        "--cache", default=default, metavar="FOLDER", help=f"the `cache` of the recipe; {default} by default"
    )


def run(options: argparse.Namespace) -> None:
    """Show, fill or clear."""
    if options.action == "warm":
        _, recipe = recipe_of(options)
        if options.print_config:
            print_config(recipe)
            return
        from adapt.jobs.warming import warm_features

        warm_features(recipe)
        return
    cache = Path(options.cache).expanduser()
    if options.action == "clear":
        from adapt.features import clear

        since = None if options.unused_days is None else time.time() - options.unused_days * DAY
        count, size = clear(cache, unused_since=since)
        print(f"{count:,} entries removed, {size / 1e6:,.1f} MB")
        return
    _print_info(cache)


def _print_info(cache: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from adapt.features import features_folder, kept_entries, prefixes
    from adapt.terminal import Terminal

    table = Table("model", "behind stage", "input", "numbers", "entries", "MB", "last used")
    for column in table.columns[3:6]:
        column.justify = "right"
    for prefix, about in prefixes(cache):
        entries = list(kept_entries(prefix))
        used = max((entry.used for entry in entries), default=0.0)
        what = (
            ("?", "?", "?", "?")
            if about is None
            else (about.checkpoint, f"{about.stages} of {about.of_stages}", f"{about.input_size} px", about.dtype)
        )
        size = sum(entry.size for entry in entries)
        when = datetime.fromtimestamp(used).strftime("%Y-%m-%d %H:%M") if entries else "never"
        table.add_row(*map(escape, what), f"{len(entries):,}", f"{size / 1e6:,.1f}", when)
    if table.row_count:
        Terminal().print(table)
    else:
        print(f"no features are kept in {features_folder(cache)}")
