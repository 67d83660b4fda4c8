"""Prepared samples on disk: an Arrow file, memory mapped, made once and keyed by a hash of what went in.

Images are raw uint8 (a single channel where all three are equal), masks are bits inside their bounding boxes, so
opening a store of any size takes no time and no memory. A store is written in a folder of its own that is renamed when
it is complete: it is there whole, or not at all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from rich.console import Console

from adapt.datamodules.prepare import SCHEMA, PartFacts, join_parts, make_parts, read_facts
from adapt.datamodules.reasons import by_reason, told
from adapt.datamodules.source import Source
from adapt.errors import DataError
from adapt.files import in_turn, permissions
from adapt.formats import decode_crops
from adapt.samples import Sample
from adapt.unwritable import unwritable
from adapt.wording import counted

VERSION = 8
"""Raise it when what a store holds changes; older stores are then left alone and made anew."""
DATA, FACTS = "data.arrow", "facts.json"
LISTED_ERRORS = 20
"""Reasons in a message."""


@dataclass(frozen=True)
class Facts:
    """What a store holds, and what was left out.

    `skipped` has the error of each case that could not be used, `unlabelled` the name of each that no label lies on.
    """

    samples: int
    objects: int
    cut_objects: int
    empty_images: int
    small_objects: int
    empty_cases: int
    skipped: list[str]
    unlabelled: list[str]
    data_bytes: int


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store. What is pickled is its folder, so a worker maps the same file.

    Attributes:
        rows: memory-mapped data set, one row a sample; see `prepare.SCHEMA`.
        batches: the same, a batch a row: what one value takes from here is a tenth of what `rows` takes.
        facts: see `Facts`.
        groups: of each row.
        folder: where it lies.
    """

    rows: Dataset
    batches: Sequence[pa.RecordBatch]
    facts: Facts
    groups: tuple[str, ...]
    folder: Path

    def __reduce__(self) -> tuple[Callable[[Path], "Store"], tuple[Path]]:
        return _opened, (self.folder,)

    def sample(self, index: int, *, choose: Callable[[str, int], npt.NDArray[np.int64]] | None = None) -> Sample:
        """The sample of a row.

        Args:
            index: of the row.
            choose: sample id and number of objects to the objects to keep; the others are never decoded, which
                is what makes an image with hundreds of objects affordable. All by default.
        """
        columns = dict(zip(SCHEMA.names, self.batches[index].columns, strict=True))
        stored = columns.pop("image")[0].as_buffer()  # nothing of it is copied
        values = {name: column.to_pylist()[0] for name, column in columns.items()}
        height, width, channels, names = (values[name] for name in ("height", "width", "channels", "categories"))
        chosen = range(len(names)) if choose is None else choose(values["sample_id"], len(names)).tolist()
        boxes, masks = ([values[name][i] for i in chosen] for name in ("boxes", "masks"))
        image = np.frombuffer(stored, dtype=np.uint8).reshape(height, width, channels)
        return Sample(
            image=image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB),
            masks=decode_crops(boxes, masks, height=height, width=width),
            categories=tuple(names[i] for i in chosen),
            spacing=tuple(values["spacing"]),
            cut=tuple(values["cut"][i] for i in chosen) if values["cut"] else (),
            weights=tuple(values["weights"][i] for i in chosen) if values["weights"] else (),
            tracks=tuple(values["tracks"][i] for i in chosen) if values["tracks"] else (),
            slice_of=values["slice_of"] and tuple(values["slice_of"].values()),
            **{name: values[name] for name in ("group", "spacing_unit", "sample_id", "source")},
        )


def store_key(source: Source, settings: dict[str, object]) -> str:
    """Hash of the version, the settings, and path, size and time of change of every input.

    An input that is not there, such as a link to a disk that is not mounted, is left to the case that reads it.
    """
    stamps: list[list[object]] = []
    for path in source.inputs:
        try:
            facts = path.stat()
        except OSError as error:
            stamps.append([str(path), error.errno, 0])
        else:
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
    store = _usable(folder, on_error)
    if store is not None:
        return store
    try:
        with in_turn(cache / "locks" / folder.name):
            store = _usable(folder, on_error)  # another process may have made it meanwhile
            if store is not None:
                return store
            _make(source, folder, console=console, on_error=on_error, workers=workers)
    except OSError as error:
        store = _open(folder)  # another process may have been faster, and has put away the parts
        if store is not None:
            shutil.rmtree(folder.with_suffix(".parts"), ignore_errors=True)  # those that this one made meanwhile
            return store
        then = "or set cache=/another/folder. What is prepared is kept"
        raise DataError(unwritable(f"cache folder {cache}", error, then)) from None
    return _opened(folder)


def _usable(folder: Path, on_error: str) -> Store | None:
    store = _open(folder)
    if store is None or (on_error == "fail" and store.facts.skipped):
        return None
    if not store.facts.skipped:  # else another process may be making it anew
        shutil.rmtree(folder.with_suffix(".parts"), ignore_errors=True)  # of one that was killed right after
    return store


def _opened(folder: Path) -> Store:
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
    groups = tuple(rows["group"][:])
    return Store(rows=rows, batches=rows.data.to_batches(), facts=facts, groups=groups, folder=folder)


def _make(source: Source, folder: Path, *, console: Console, on_error: str, workers: int) -> None:
    """Make the parts, join them in a temporary folder among them, and put it in place.

    There, what a killed process has left half joined goes with the parts.
    """
    parts = folder.with_suffix(".parts")
    if parts.is_symlink():  # not ours, and it may lead anywhere
        parts.unlink()
    stems, errors = make_parts(source.cases, parts, workers=workers, console=console)
    found = [read_facts(stem) for stem in stems]
    errors += [error for part in found for error in part.errors]
    errors = list(dict.fromkeys(errors))  # a scene is read by several cases
    _refuse(source, found, errors, skip=on_error == "skip")
    temporary = Path(tempfile.mkdtemp(dir=parts, prefix=".joined."))
    try:
        join_parts(stems, temporary / DATA)
        facts = Facts(
            samples=sum(part.samples for part in found),
            objects=sum(part.objects for part in found),
            cut_objects=sum(part.cut_objects for part in found),
            empty_images=sum(part.empty_images for part in found),
            small_objects=sum(part.small_objects for part in found),
            empty_cases=sum(part.samples == 0 and not part.unlabelled for part in found),
            skipped=errors,
            unlabelled=[part.unlabelled for part in found if part.unlabelled],
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
    groups = by_reason(errors)
    shown = "".join(f"\n  {told(group)}" for group in groups[:LISTED_ERRORS])
    left = sum(map(len, groups[LISTED_ERRORS:]))
    more = f"\n  and {left:,} more" if left else ""
    several = any(part.errors for part in found)  # images of one case
    what = counted(len(errors), "image") if several else f"{len(errors)} of {counted(cases, 'case')}"
    unusable = f"{what} cannot be used:{shown}{more}" if errors else ""
    if unusable and not skip:
        raise DataError(unusable)
    if not any(part.samples for part in found):
        small = sum(part.small_objects for part in found)
        hint = f" {counted(small, 'object')} smaller than data.min_object_pixels; lower it." if small else ""
        if not small and not unusable:
            hint = " All were read, but no label has an object: give the right files, or labels that are not empty."
        raise DataError(f"no image with an object was found in {counted(cases, 'case')}.{hint} {unusable}".rstrip())
