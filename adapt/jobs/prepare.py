"""The store of a recipe's data, made or opened."""

import time

from adapt.build import (
    make_store,
    store_lines,
)
from adapt.jobs.console import make_console, print_lines
from adapt.recipe import Recipe
from adapt.terminal import Terminal


def prepare(recipe: Recipe) -> None:
    """Make the store of a recipe's data, or open it if it is there, and print what it holds."""
    begun = time.monotonic()
    store = make_store(recipe, make_console())
    lines = [*store_lines(store), ("seconds", f"{time.monotonic() - begun:.1f}"), ("store", str(store.folder))]
    print_lines(lines, Terminal())
