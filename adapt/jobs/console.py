"""What every job says, and where: progress and notices on stderr, so that the table alone is on stdout."""

import logging
import sys
import warnings

from rich.console import Console

from adapt.processes.group import Processes
from adapt.terminal import Terminal


def make_console(processes: Processes | None = None) -> Console:
    """Progress and notices go to stderr, so that the table alone is on stdout; of several processes one speaks."""
    return Terminal(stderr=True, quiet=processes is not None and not processes.first)


def print_lines(lines: list[tuple[str, str]], console: Console) -> None:
    """Print names and values in two columns."""
    for name, value in lines:
        console.print(f"{name:<11} {value}", highlight=False, markup=False, soft_wrap=True)


def quiet_libraries() -> None:
    """What the libraries say about themselves; each line would hide what this run has to say."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    if sys.warnoptions:
        return  # the user, or a test, has said which warnings to see
    for message in (
        ".*module.s. in eval mode at the start of training.*",  # the frozen encoder is meant to be
        ".*does not have many workers.*",  # `trainer.workers` is a choice of the recipe
        ".*number of training batches.*is smaller than the logging interval.*",  # small data sets are usual here
        ".*recommended to use .self.log.*sync_dist=True.*",  # the figures are those of all processes already
        ".*isinstance.treespec, LeafSpec.*",  # torch deprecates what lightning 2.6 still calls
    ):
        warnings.filterwarnings("ignore", message=message)
