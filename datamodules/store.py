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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.errors import DataError
from adapt.files import permissions
from adapt.formats import decode_masks, encode_masks
from adapt.samples import Sample

VERSION = 2
"""Raise it when what a store holds changes; older stores are then left alone and made anew."""
DATA, FACTS = "data.arrow", "facts.json"
LISTED_ERRORS = 20
SCHEMA = pa.schema(
    {
        "image": pa.large_binary(),
        "height": pa.int32(),
        "width": pa.int32(),
        "channels": pa.int32(),
        "masks": pa.list_(pa.binary()),
        "categories": pa.list_(pa.string()),
        "group": pa.string(),
        "spacing": pa.list_(pa.float64()),
        "spacing_unit": pa.string(),
        "sample_id": pa.string(),
        "source": pa.string(),
    }
)


@dataclass(eq=False)
class Case:
    """What one file, volume or scene gives.

    Attributes:
        samples: images with their objects; may be made one by one as they are asked for, so that a volume of a
            thousand slices is never held with all its masks.
        empty_images: images left out because no object is in them; complete when `samples` has been gone through.
        small_objects: objects left out because they are smaller than the minimum; likewise.
    """

    samples: Iterable[Sample]
    empty_images: int = 0
    small_objects: int = 0


@dataclass(frozen=True)
class Source:
    """A domain's data, before it is read.

    Attributes:
        inputs: every file that is read; if one changes, the store is made anew.
        cases: one function a case; each reads it, or raises `DataError`.
    """

    inputs: Sequence[Path]
    cases: Sequence[Callable[[], Case]]


@dataclass(frozen=True)
class Facts:
    """What a store holds, and what was left out; `skipped` has the error of each case that could not be used."""

    samples: int
    objects: int
    empty_images: int
    small_objects: int
    empty_cases: int
    skipped: list[str]
    data_bytes: int


@dataclass(frozen=True, eq=False)
class Store:
    """An opened store.

    Attributes:
        rows: memory-mapped data set, one row a sample; see `SCHEMA`.
        facts: see `Facts`.
        groups: of each row.
        folder: where it lies.
    """

    rows: Dataset
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
        row = self.rows[index]
        count = len(row["masks"])
        chosen = np.arange(count) if choose is None else choose(row["sample_id"], count)
        height, width, channels = row["height"], row["width"], row["channels"]
        image = np.frombuffer(row["image"], dtype=np.uint8).reshape(height, width, channels)
        return Sample(
            image=np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))),
            masks=decode_masks([row["masks"][i] for i in chosen], height=height, width=width),
            categories=tuple(row["categories"][i] for i in chosen),
            group=row["group"],
            spacing=(row["spacing"][0], row["spacing"][1]),
            spacing_unit=row["spacing_unit"],
            sample_id=row["sample_id"],
            source=row["source"],
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
    text = json.dumps([VERSION, settings, sorted(stamps)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def open_or_make(
    source: Source, *, settings: dict[str, object], cache: Path, console: Console, on_error: str = "fail"
) -> Store:
    """The store of a source: opened if it is there and whole, else made.

    Args:
        source: see `Source`.
        settings: everything of the recipe that decides what the store holds.
        cache: folder for stores.
        console: for the progress bar.
        on_error: `fail`, or `skip` for cases that cannot be used.

    Raises:
        DataError: every case that cannot be used, at once; or the cache cannot be written.
    """
    folder = cache / "stores" / store_key(source, settings)
    store = _open(folder)
    if store is not None:
        return store
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise DataError(
            f"cache folder {cache} cannot be written ({error.strerror}); set cache=/another/folder"
        ) from None
    try:
        _write(source, temporary, console, on_error)
        ready = _open(folder)
        if ready is not None:
            return ready  # another process was faster
        shutil.rmtree(folder, ignore_errors=True)  # damaged
        temporary.chmod(permissions(0o777))  # mkdtemp's 0700 would hide a shared cache from colleagues
        temporary.rename(folder)
    except OSError as error:
        store = _open(folder)
        if store is not None:
            return store
        raise DataError(
            f"cache folder {cache} cannot be written ({error.strerror}); set cache=/another/folder"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
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
    return Store(rows=rows, facts=facts, groups=tuple(rows["group"][:]), folder=folder)


def _write(source: Source, folder: Path, console: Console, on_error: str) -> None:
    objects = samples = empty_images = small_objects = empty_cases = 0
    errors: list[str] = []
    with (folder / DATA).open("wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        for case in _cases(source, errors, console):
            before = samples
            for sample in case.samples:
                writer.write_batch(pa.RecordBatch.from_pylist([_row(sample)], schema=SCHEMA))
                samples += 1
                objects += len(sample.masks)
            empty_images += case.empty_images
            small_objects += case.small_objects
            empty_cases += samples == before
    _refuse([] if on_error == "skip" else errors, samples, len(source.cases), small_objects)
    facts = Facts(
        samples, objects, empty_images, small_objects, empty_cases, errors, data_bytes=(folder / DATA).stat().st_size
    )
    (folder / FACTS).write_text(json.dumps(facts.__dict__), encoding="utf-8")
    for name in (DATA, FACTS):
        with (folder / name).open("rb") as written:
            os.fsync(written.fileno())


def _cases(source: Source, errors: list[str], console: Console) -> Iterator[Case]:
    columns = (TextColumn("preparing data"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for read in progress.track(source.cases):
            try:
                yield read()
            except DataError as error:
                errors.append(str(error))


def _refuse(errors: list[str], samples: int, cases: int, small_objects: int) -> None:
    if errors:
        shown = "\n".join(f"  {error}" for error in errors[:LISTED_ERRORS])
        more = f"\n  and {len(errors) - LISTED_ERRORS} more" if len(errors) > LISTED_ERRORS else ""
        raise DataError(f"{len(errors)} of {cases} cases cannot be used:\n{shown}{more}")
    if not samples:
        small = f" {small_objects} objects are smaller than data.min_object_pixels; lower it." if small_objects else ""
        raise DataError(f"no image with an object was found in {cases} cases.{small}")


def _row(sample: Sample) -> dict[str, object]:
    grey = bool((sample.image == sample.image[..., :1]).all())
    image = sample.image[..., :1] if grey else sample.image
    return {
        "image": image.tobytes(),
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": image.shape[2],
        "masks": encode_masks(sample.masks),
        "categories": list(sample.categories),
        "group": sample.group,
        "spacing": list(sample.spacing),
        "spacing_unit": sample.spacing_unit,
        "sample_id": sample.sample_id,
        "source": sample.source,
    }
