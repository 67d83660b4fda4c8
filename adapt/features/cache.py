"""The cache of frozen features: what the frozen stages make of an image, kept on disk, so that they run once."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from adapt.errors import RunError
from adapt.features.entries import read_entry, write_entry
from adapt.features.folder import About, describe, entry_path, evict, kept_entries
from adapt.features.keys import image_key
from adapt.samples import Cached
from adapt.segmenters import Hidden
from adapt.unwritable import unwritable

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
PENDING = 32
"""Entries that wait to be written, at most; then training waits for the disk."""


@dataclass(frozen=True)
class FeatureReader:
    """Finds entries. All that a process that loads data needs, and small to hand to it.

    Attributes:
        prefix: folder of the entries.
        views: ways in which an image is augmented in all, so that each comes again.
    """

    prefix: Path
    views: int

    def look_up(self, image: npt.NDArray[np.uint8]) -> Cached:
        """What is known of one image (H, W, 3) uint8, as the model is shown it."""
        key = image_key(image)
        hidden = read_entry(entry_path(self.prefix, key))
        return Cached(
            keys=(key,),
            found=torch.tensor([hidden is not None]),
            hidden=() if hidden is None else tuple(value[None] for value in hidden),
        )


class FeatureCache:
    """Reads and writes entries of one prefix; several processes may do so at once, on the same folder."""

    def __init__(self, prefix: Path, *, about: About, views: int, limit: int, notice: Callable[[str], None]) -> None:
        """Open a cache, which need not be there yet.

        Args:
            prefix: folder of the prefix, below that of all features.
            about: what the prefix is.
            views: see `FeatureReader`.
            limit: bytes of all prefixes together; what was used least goes first.
            notice: told, once, when the folder cannot be written; training goes on without.
        """
        self.reader = FeatureReader(prefix, views)
        self._prefix, self._about, self._dtype = prefix, about, DTYPES[about.dtype]
        self._limit, self._notice = limit, notice
        self._bytes = sum(entry.size for entry in kept_entries(prefix.parent))
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._pending: deque[Future[None]] = deque()
        self._writes = True

    def rounded(self, hidden: Hidden) -> Hidden:
        """Features as they will be read back, in float32: so it makes no difference whether they were there already.

        Raises:
            RunError: a number is too large for the cache's dtype.
        """
        kept = tuple(value.to(self._dtype).float() for value in hidden)
        if not all(bool(value.isfinite().all()) for value in kept):
            largest = max(float(value.abs().max()) for value in hidden)
            raise RunError(
                f"the encoder's hidden states reach {largest:g}, which {self._about.dtype} cannot hold; set "
                "features.dtype=bfloat16"
            )
        return kept

    def write(self, keys: tuple[str, ...], hidden: Hidden) -> None:
        """Keep the features of some images, (len(keys), ...) each, in their order; returns before it is done."""
        if not self._writes:
            return
        rows = zip(*(value.to(self._dtype).cpu() for value in hidden), strict=True)
        for key, row in zip(keys, rows, strict=True):
            self._pending.append(self._writer.submit(self._write, key, row))
        while len(self._pending) > PENDING:
            self._pending.popleft().result()

    def flush(self) -> None:
        """Wait until everything is written."""
        while self._pending:
            self._pending.popleft().result()

    def _write(self, key: str, row: Hidden) -> None:
        if not self._writes:
            return
        try:
            describe(self._prefix, self._about)
            self._bytes += write_entry(entry_path(self._prefix, key), row)
            if self._bytes > self._limit:
                self._bytes = evict(self._prefix.parent, limit=self._limit)
        except OSError as error:
            self._writes = False
            what = f"features are no longer kept: {self._prefix}"
            self._notice(unwritable(what, error, "set cache=/another/folder, or features.cache=false"))
