"""Rows of a split in an order that seed and epoch decide, dealt out to the processes."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from adapt.processes.collective import this_process


class Key(NamedTuple):
    """Of an item: everything random about it derives from epoch, row and the seed.

    Attributes:
        epoch: from 0.
        row: of the store.
        counted: False if another process has the same row, and this one has it only to have as many.
    """

    epoch: int
    row: int
    counted: bool = True


def dealt(order: Sequence[int], *, process: int, processes: int) -> list[tuple[int, bool]]:
    """What one of several processes takes of an order: every so-manieth entry, and whether it counts.

    All take as many, or they would wait for one another for ever: at the end entries come again, from the first one.
    These do not count: they weigh nothing in training, and metrics, which tell samples apart, count them once.
    """
    wanted = -(-len(order) // processes) * processes
    return [(order[turn % len(order)], turn < len(order)) for turn in range(process, wanted, processes)]


class Limit(NamedTuple):
    """Where a training ends, whatever its epochs.

    Attributes:
        steps: of the optimiser, in all.
        rows: that a process has of each.
    """

    steps: int
    rows: int

    def of_epoch(self, epoch: int, rows: int) -> int:
        """How many of the rows that a process has of an epoch are before the end."""
        left = self.steps - epoch * math.ceil(rows / self.rows)
        return min(rows, left * self.rows) if left > 0 else rows  # an epoch behind the end is not trained on


class EpochSampler(Sampler[Key]):
    """Rows of a split as keys, in an order that seed and epoch decide, dealt out to the processes.

    How many there are is asked each time: the sampler may be older than the processes.
    """

    def __init__(
        self,
        rows: Sequence[int],
        *,
        seed: int,
        shuffle: bool,
        start: tuple[int, int] = (0, 0),
        limit: Limit | None = None,
    ) -> None:
        """Go on from an epoch, of which a process has had so many rows already; the last epoch may be cut short."""
        self._rows, self._seed, self.shuffle, self._limit = list(rows), seed, shuffle, limit
        self._start, self._epoch, self._once = start, start[0], False

    def each_once(self) -> None:
        """Leave out what does not count, and know no end: for work in which no process waits for another."""
        self._once = True

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._own(self._rows))

    def __iter__(self) -> Iterator[Key]:
        if not self.shuffle:
            return iter([Key(0, row, counted) for row, counted in self._own(self._rows)])
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._rows).tolist()
        begun, done = self._start
        left = self._own(order)[done if self._epoch == begun else 0 :]
        return iter([Key(self._epoch, row, counted) for row, counted in left])

    def _own(self, order: Sequence[int]) -> list[tuple[int, bool]]:
        process, processes = this_process()
        own = dealt(order, process=process, processes=processes)
        if self._once:
            return [(row, counted) for row, counted in own if counted]
        return own if self._limit is None else own[: self._limit.of_epoch(self._epoch, len(own))]
