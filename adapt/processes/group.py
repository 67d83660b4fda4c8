"""The processes of a run, one a device: how they begin, agree and part.

All run the same command, and come together before anything is decided. So the first one decides for all: which run to
go on with, or the name of a new one.
"""

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from lightning import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import distributed
from torch.distributed.distributed_c10d import _set_pg_timeout  # there is no public way

from adapt.errors import AdaptError, ProcessLostError, StoppedError
from adapt.processes.collective import from_first, gathered
from adapt.processes.launcher import count_processes, launcher
from adapt.recipe import Recipe

Value = TypeVar("Value")
LOST = ("gloo", "NCCL", "pair closure")
"""One of these is in what a backward pass says of a process that is gone, or of a network that is."""
TO_START = timedelta(minutes=10)
"""Until all have come together, at least: machines do not start at the same moment."""


@dataclass(frozen=True)
class Processes:
    """Those of a run, as one of them sees them.

    Attributes:
        first: whether this one decides, writes and prints.
        count: of all.
    """

    first: bool
    count: int

    def together(self, make: Callable[[], Value]) -> Value:
        """What each makes for itself. If any cannot, all end, and the first one says why."""
        made, error = None, None
        try:
            made = make()
        except AdaptError as raised:
            error = raised
        errors = [found for found in gathered(error) if found is not None]
        if errors:
            raise (error or errors[0]) if self.first else SystemExit(0)
        return made  # type: ignore[return-value]

    def agreed(self, make: Callable[[], Value]) -> Value:
        """What the first one makes, plain data, as `together`; the others have it too."""
        return from_first(self.together(lambda: make() if self.first else None))  # type: ignore[return-value]

    def part(self) -> None:
        """From here on none waits for another."""
        if self.count > 1:
            distributed.destroy_process_group()


@contextmanager
def started(recipe: Recipe, device: torch.device) -> Iterator[Processes]:
    """Start the processes of a placed recipe, or join those that are started; say so if one is lost.

    Raises:
        ProcessLostError: another process has ended, or cannot be reached.
    """
    settings, count = recipe.trainer, count_processes(recipe)
    if count == 1:
        yield Processes(first=True, count=1)
        return
    patience = timedelta(seconds=settings.process_timeout)
    fabric = Fabric(
        accelerator=device.type,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        strategy=DDPStrategy(timeout=max(patience, TO_START)),
        plugins=[launcher()],
    )
    try:
        fabric.launch()
        _set_pg_timeout(patience)
        yield Processes(first=fabric.is_global_zero, count=count)
    except StoppedError:
        if fabric.is_global_zero:
            raise
        raise SystemExit(0) from None  # all have stopped; the first one says so, and has the exit code
    except RuntimeError as error:
        if not _is_of_network(error):
            raise
        raise ProcessLostError(_of_lost(error, settings.process_timeout)) from error


def _is_of_network(error: RuntimeError) -> bool:
    """Torch has a type of its own for some of these errors only; for the rest, where one was raised tells."""
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    in_distributed = raised_in.startswith(str(Path(distributed.__file__).parent))
    return isinstance(error, distributed.DistError) or in_distributed or any(words in str(error) for words in LOST)


def _of_lost(error: RuntimeError, seconds: int) -> str:
    said = re.sub(r"^\[[^]]*\]", "", str(error).strip().splitlines()[0])  # the line of its source
    reason = said.split(". ")[0].strip(" .")
    return (
        "another process of this run has ended, or was not to be reached for "
        f"trainer.process_timeout={seconds} seconds ({reason}). If it has said why, that is the reason; else look at "
        "its machine, and at the network. Then resume"
    )
