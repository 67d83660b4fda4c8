"""What W&B has written of an offline run, read back: a log of blocks (as LevelDB's) that holds protobuf records."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK = 7, 32_768
FULL, FIRST, LAST = 1, 2, 4


def records(file: Path) -> Iterator[Record]:
    """The records of a `.wandb` file, in their order."""
    content = file.read_bytes()
    assert content[:4] == b":W&B"
    place, part = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # the rest of a block that no header fits into
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        place += HEADER
        part = (b"" if kind in (FULL, FIRST) else part) + content[place : place + length]
        place += length
        if kind in (FULL, LAST):
            yield Record.FromString(part)


def history(file: Path) -> list[dict[str, object]]:
    """The rows that were logged."""
    rows = (record.history.item for record in records(file) if record.HasField("history"))
    return [values(items) for items in rows]


def summary(file: Path) -> dict[str, object]:
    """What stands in the run's summary at the end."""
    found: dict[str, object] = {}
    for record in records(file):
        if record.HasField("summary"):
            found |= values(record.summary.update)
    return found


def config(file: Path) -> dict[str, object]:
    """The run's config."""
    (run,) = (record.run for record in records(file) if record.HasField("run"))
    return values(run.config.update)


def run_id(file: Path) -> str:
    """Under which W&B knows the run."""
    (run,) = (record.run for record in records(file) if record.HasField("run"))
    return run.run_id


def values(items: object) -> dict[str, object]:
    """Keys, nested ones joined by dots, and their values."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}  # type: ignore[attr-defined]
