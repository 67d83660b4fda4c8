"""Prepared samples on disk: an Arrow file, memory mapped, made once and keyed by a hash of what went in.

Images are raw uint8 (a single channel where all three are equal), masks are run-length encoded, so opening
a store of any size takes no time and no memory. A store is written in a folder of its own that is renamed
when it is complete: it is there whole, or not at all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from rich.console import Console

from adapt.datamodules.prepare import PartFacts, join_parts, make_parts, read_facts
from adapt.datamodules.source import Source
from adapt.errors import DataError
from adapt.files import permissions
from adapt.formats import decode_crops
from adapt.samples import Sample

VERSION = 5
"""Raise it when what a store holds changes; older stores are then left alone and made anew."""
DATA, FACTS = "data.arrow", "facts.json"
LISTED_ERRORS = 20


@dataclass(frozen=True)
class Facts:
    """What a store holds, and what was left out; `skipped` has the error of each case that could not be used."""

    samples: int
    objects: int
    cut_objects: int
    empty_images: int
    small_objects: int
    empty_cases: int
    skipped: list[str]
    data_bytes: int


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store.

    Attributes:
        rows: memory-mapped data set, one row a sample; see `prepare.SCHEMA`.
        arrow: the same as Arrow tables of a row, nothing of which is copied before it is asked for.
        facts: see `Facts`.
        groups: of each row.
        folder: where it lies.
    """

    rows: Dataset
    arrow: Dataset
    facts: Facts
    groups: tuple[str, ...]
    folder: Path

    def sample(self, index: int, *, choose: Callable[[str, int], npt.NDArray[np.int64]] | None = None) -> Sample:
        """The sample of a row.

        Args:
            index: of the row.
            choose: sample id and number of objects to the objects to keep; the others are never decoded, which
                is what makes an image with hundreds of objects affordable. All by default.
        """
        row = self.arrow[index]

        def value(name: str) -> Any:  # noqa: ANN401 - as the column has it
            return row.column(name)[0].as_py()

        count = len(row.column("masks")[0])
        chosen = np.arange(count) if choose is None else choose(value("sample_id"), count)
        height, width, channels = value("height"), value("width"), value("channels")
        image = np.frombuffer(row.column("image")[0].as_buffer(), dtype=np.uint8).reshape(height, width, channels)

        def picked(name: str) -> list[Any]:
            entries = row.column(name)[0]
            return [entries[int(i)].as_py() for i in chosen]

        return Sample(
            image=np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))),
            masks=decode_crops(picked("boxes"), picked("masks"), height=height, width=width),
            categories=tuple(picked("categories")),
            group=value("group"),
            spacing=tuple(value("spacing")),
            spacing_unit=value("spacing_unit"),
            sample_id=value("sample_id"),
            source=value("source"),
            cut=tuple(picked("cut")) if len(row.column("cut")[0]) else (),
            slice_of=value("slice_of") and tuple(value("slice_of").values()),
        )


def store_key(source: Source, settings: dict[str, object]) -> str:
    """Hash of the version, the settings, and path, size and time of change of every input."""
    stamps = []
    for path in source.inputs:
        try:
            facts = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); mount its disk, or remove the link") from None
        stamps.append([str(path.resolve()), facts.st_size, facts.st_mtime_ns])
    text = json.dumps([VERSION, settings, source.version, sorted(stamps)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def open_or_make(
    source: Source,
    *,
    settings: dict[str, object],
    cache: Path,
    console: Console,
    on_error: str = "fail",
    workers: int = 0,
) -> Store:
    """The store of a source: opened if it is there and whole, else made.

    Args:
        source: see `Source`.
        settings: everything of the recipe that decides what the store holds.
        cache: folder for stores.
        console: for the progress bar.
        on_error: `fail`, or `skip` for cases that cannot be used.
        workers: processes that prepare, at most.

    Raises:
        DataError: every case that cannot be used, at once; or the cache cannot be written.
    """
    folder = cache / "stores" / store_key(source, settings)
    store = _open(folder)
    if store is not None and (on_error == "skip" or not store.facts.skipped):
        return store
    try:
        _make(source, folder, console=console, on_error=on_error, workers=workers)
    except OSError as error:
        store = _open(folder)  # another process may have been faster, and has put away the parts
        if store is not None:
            shutil.rmtree(folder.with_suffix(".parts"), ignore_errors=True)  # those that this one made meanwhile
            return store
        raise DataError(
            f"cache folder {cache} cannot be written ({error.strerror}); set cache=/another/folder"
        ) from None
    store = _open(folder)
    if store is None:
        raise DataError(f"the store {folder} cannot be read back; check the disk, or set cache=/another/folder")
    return store


def _open(folder: Path) -> Store | None:
    """The store of a folder, or None if it is not there, not complete or damaged."""
    try:
        facts = Facts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
        if (folder / DATA).stat().st_size != facts.data_bytes:
            return None
        rows = Dataset.from_file(str(folder / DATA))
    except (OSError, ValueError, TypeError, pa.ArrowException):
        return None
    if len(rows) != facts.samples:
        return None
    return Store(rows=rows, arrow=rows.with_format("arrow"), facts=facts, groups=tuple(rows["group"][:]), folder=folder)


def _make(source: Source, folder: Path, *, console: Console, on_error: str, workers: int) -> None:
    """Make the parts, join them in a temporary folder, and put it in place."""
    parts = folder.with_suffix(".parts")
    stems, errors = make_parts(source.cases, parts, workers=workers, console=console)
    found = [read_facts(stem) for stem in stems]
    errors += [error for part in found for error in part.errors]
    _refuse(source, found, errors, skip=on_error == "skip")
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        join_parts(stems, temporary / DATA)
        facts = Facts(
            samples=sum(part.samples for part in found),
            objects=sum(part.objects for part in found),
            cut_objects=sum(part.cut_objects for part in found),
            empty_images=sum(part.empty_images for part in found),
            small_objects=sum(part.small_objects for part in found),
            empty_cases=sum(part.samples == 0 for part in found),
            skipped=errors,
            data_bytes=(temporary / DATA).stat().st_size,
        )
        with (temporary / FACTS).open("w", encoding="utf-8") as file:
            json.dump(asdict(facts), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(permissions(0o777))  # mkdtemp's 0700 would hide a shared cache from colleagues
        ready = _open(folder)
        if ready is None or ready.facts.skipped:  # else another process was faster
            shutil.rmtree(folder, ignore_errors=True)  # damaged, or made without cases that can be used now
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(parts, ignore_errors=True)


def _refuse(source: Source, found: Sequence[PartFacts], errors: Sequence[str], *, skip: bool) -> None:
    cases = len(source.cases)
    shown = "".join(f"\n  {error}" for error in errors[:LISTED_ERRORS])
    more = f"\n  and {len(errors) - LISTED_ERRORS} more" if len(errors) > LISTED_ERRORS else ""
    whole = "images" if any(part.errors for part in found) else f"of {cases} cases"
    unusable = f"{len(errors)} {whole} cannot be used:{shown}{more}" if errors else ""
    if unusable and not skip:
        raise DataError(unusable)
    if not any(part.samples for part in found):
        small = sum(part.small_objects for part in found)
        hint = f" {small} objects are smaller than data.min_object_pixels; lower it." if small else ""
        raise DataError(f"no image with an object was found in {cases} cases.{hint} {unusable}".rstrip())
