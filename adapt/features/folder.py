"""The cache on disk: `features/<prefix>/<first two digits>/<image>.safetensors`, and what was used least goes first."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from adapt.errors import RunError
from adapt.features.entries import SUFFIX
from adapt.files import write_text

ABOUT = "about.json"
KEPT_SHARE = 0.9
"""Of the limit, which eviction comes down to, so that it is not called for each entry."""


@dataclass(frozen=True)
class About:
    """What a prefix is, for people.

    Attributes:
        checkpoint: that the weights came from.
        stages: run before an entry is kept, of `of_stages`.
        input_size: side of the model's input, pixels.
        dtype: of the numbers.
    """

    checkpoint: str
    stages: int
    of_stages: int
    input_size: int
    dtype: str


@dataclass(frozen=True)
class Kept:
    """An entry that is there: its file, its bytes, and when it was last used, in seconds since 1970."""

    path: Path
    size: int
    used: float


def features_folder(cache: Path) -> Path:
    """Where the entries of a cache lie."""
    return cache / "features"


def entry_path(prefix: Path, key: str) -> Path:
    """The file of an image; in one of 256 folders, since some file systems are slow with many files in one."""
    return prefix / key[:2] / f"{key}{SUFFIX}"


def kept_entries(folder: Path) -> Iterator[Kept]:
    """All entries below a folder; those that another process removes meanwhile are left out."""
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.endswith(SUFFIX):
                continue
            path = Path(root) / name
            with contextlib.suppress(OSError):
                facts = path.stat()
                yield Kept(path, facts.st_size, facts.st_mtime)


def evict(folder: Path, *, limit: int) -> int:
    """Remove what was not used for longest until `KEPT_SHARE` of `limit` bytes is left; the bytes that are left.

    Several processes may do so at once: what one has removed is gone for the other.
    """
    entries = sorted(kept_entries(folder), key=lambda entry: entry.used)
    left = sum(entry.size for entry in entries)
    if left <= limit:
        return left
    for entry in entries:
        with contextlib.suppress(OSError):
            entry.path.unlink()
        left -= entry.size
        if left <= KEPT_SHARE * limit:
            break
    return left


def describe(prefix: Path, about: About) -> None:
    """Write down what a prefix is, unless it is written already; where that fails, entries fail too, and are told."""
    if not (prefix / ABOUT).is_file():
        prefix.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(RunError):
            write_text(prefix / ABOUT, json.dumps(asdict(about), indent=2) + "\n")


def prefixes(cache: Path) -> Iterator[tuple[Path, About | None]]:
    """The prefixes of a cache and what they are; None where that cannot be read."""
    folder = features_folder(cache)
    for prefix in sorted(folder.iterdir()) if folder.is_dir() else ():
        about = None
        with contextlib.suppress(OSError, ValueError, TypeError):
            about = About(**json.loads((prefix / ABOUT).read_text(encoding="utf-8")))
        yield prefix, about


def clear(cache: Path, *, unused_since: float | None = None) -> tuple[int, int]:
    """Remove entries, all or those not used since a time in seconds since 1970; how many, and their bytes."""
    count = size = 0
    for prefix, _ in list(prefixes(cache)):
        entries = list(kept_entries(prefix))
        gone = [entry for entry in entries if unused_since is None or entry.used < unused_since]
        if len(gone) == len(entries):
            shutil.rmtree(prefix, ignore_errors=True)
        for entry in gone:
            entry.path.unlink(missing_ok=True)
        count, size = count + len(gone), size + sum(entry.size for entry in gone)
    return count, size
