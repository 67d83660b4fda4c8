"""From cases to part files, in this process or in several.

A finished part is never made again: preparing can be killed at any moment and goes on where it was, and two
processes that prepare the same data share their parts.
"""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from adapt.datamodules.source import Case
from adapt.errors import DataError
from adapt.formats import encode_crops
from adapt.samples import Sample

PATIENCE = 5.0
"""Seconds of work in this process before others are started: for a few small files that would take longer."""
SCHEMA = pa.schema(
    {
        "image": pa.large_binary(),
        "height": pa.int32(),
        "width": pa.int32(),
        "channels": pa.int32(),
        "boxes": pa.list_(pa.list_(pa.int32(), 4)),  # top, left, height, width
        "masks": pa.list_(pa.binary()),  # bits inside the boxes
        "categories": pa.list_(pa.string()),
        "cut": pa.list_(pa.bool_()),
        "weights": pa.list_(pa.float32()),
        "tracks": pa.list_(pa.int64()),
        "group": pa.string(),
        "spacing": pa.list_(pa.float64()),
        "spacing_unit": pa.string(),
        "sample_id": pa.string(),
        "source": pa.string(),
        "slice_of": pa.struct({"volume": pa.string(), "index": pa.int32(), "distance": pa.float64()}),
    }
)


@dataclass
class PartFacts:
    """What a part holds, and what was left out; `errors` are of single images."""

    samples: int = 0
    objects: int = 0
    cut_objects: int = 0
    empty_images: int = 0
    small_objects: int = 0
    errors: list[str] = field(default_factory=list)
    unlabelled: str = ""


def make_parts(
    cases: Sequence[Callable[[], Case]], folder: Path, *, workers: int, console: Console
) -> tuple[list[Path], list[str]]:
    """Part files of all cases that can be used, and the errors of the others; both in the order of the cases.

    Args:
        cases: see `Source`.
        folder: receives the parts; holds those of an earlier call that was stopped.
        workers: processes, at most.
        console: for the progress bar.

    Raises:
        DataError: a process was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = [folder / f"{number:06d}" for number in range(len(cases))]
    errors: dict[int, str] = {}
    todo = [number for number, stem in enumerate(stems) if not _facts_file(stem).exists()]
    with _progress(console, total=len(cases), done=len(cases) - len(todo)) as advance:
        begun = time.monotonic()
        while todo and (workers < 2 or len(todo) < 2 or time.monotonic() - begun < PATIENCE):
            number = todo.pop(0)
            errors |= _numbered(number, make_part(cases[number], stems[number]))
            advance()
        for number, error in _in_processes(cases, stems, todo, workers):
            errors |= _numbered(number, error)
            advance()
    return [stem for number, stem in enumerate(stems) if number not in errors], [errors[n] for n in sorted(errors)]


def _numbered(number: int, error: str | None) -> dict[int, str]:
    return {} if error is None else {number: error}


def _in_processes(
    cases: Sequence[Callable[[], Case]], stems: Sequence[Path], todo: Sequence[int], workers: int
) -> Iterator[tuple[int, str | None]]:
    """Numbers of the cases and their errors, as they are done.

    The processes come from a server that has only imported this module: a fork of this process could hang in the
    threads of ITK and GDAL.
    """
    if not todo:
        return
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(
        min(workers, len(todo)), mp_context=context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        futures = {pool.submit(make_part, cases[number], stems[number]): number for number in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise DataError(
                f"one of {workers} processes that prepare data was killed, most likely for want of memory; "
                "set trainer.workers=0. What is prepared is kept"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)  # waits for those at work: they put their half-written files away


def make_part(read: Callable[[], Case], stem: Path) -> str | None:
    """Read a case and write its samples; the error if it cannot be used.

    Raises:
        OSError: the part cannot be written; nothing half-written is left.
    """
    facts = PartFacts()
    temporary = stem.with_name(f".{stem.name}.{os.getpid()}")
    try:
        case = read()
        with temporary.open("wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
            for sample in case.samples:
                writer.write_batch(pa.RecordBatch.from_pylist([_row(sample)], schema=SCHEMA))
                facts.samples += 1
                facts.objects += len(sample.masks)
                facts.cut_objects += sum(sample.cut)
        facts.empty_images, facts.small_objects, facts.errors = case.empty_images, case.small_objects, case.errors
        facts.unlabelled = case.unlabelled
        _put(temporary, stem.with_suffix(".arrow"))
        temporary.write_text(json.dumps(asdict(facts)), encoding="utf-8")
        _put(temporary, _facts_file(stem))  # last: it says that the part is whole
    except DataError as error:
        return str(error)
    except UnicodeEncodeError as error:
        return f"{sample.source}: the name {error.object!r} is no text that could be written; rename it"
    finally:
        temporary.unlink(missing_ok=True)
    return None


def _put(temporary: Path, target: Path) -> None:
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(temporary, target)


def read_facts(stem: Path) -> PartFacts:
    """What a part holds."""
    return PartFacts(**json.loads(_facts_file(stem).read_text(encoding="utf-8")))


def join_parts(stems: Sequence[Path], target: Path) -> None:
    """Write the rows of all parts into one Arrow stream; no more than a row is held."""
    with target.open("wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
        for stem in stems:
            with pa.memory_map(str(stem.with_suffix(".arrow"))) as part, pa.ipc.open_stream(part) as rows:
                for row in rows:
                    writer.write_batch(row)
        file.flush()
        os.fsync(file.fileno())


def _facts_file(stem: Path) -> Path:
    return stem.with_suffix(".json")


@contextmanager
def _progress(console: Console, *, total: int, done: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("preparing data"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task: TaskID = progress.add_task("", total=total, completed=done)
        yield lambda: progress.advance(task)


def _row(sample: Sample) -> dict[str, object]:
    grey = bool((sample.image == sample.image[..., :1]).all())
    image = sample.image[..., :1] if grey else sample.image
    boxes, masks = encode_crops(sample.masks)
    return {
        "image": image.tobytes(),
        "height": image.shape[0],
        "width": image.shape[1],
        "channels": image.shape[2],
        "boxes": boxes,
        "masks": masks,
        "categories": list(sample.categories),
        "cut": list(sample.cut),
        "weights": list(sample.weights),
        "tracks": list(sample.tracks),
        "group": sample.group,
        "spacing": list(sample.spacing),
        "spacing_unit": sample.spacing_unit,
        "sample_id": sample.sample_id,
        "source": sample.source,
        "slice_of": sample.slice_of and dict(zip(("volume", "index", "distance"), sample.slice_of, strict=True)),
    }
