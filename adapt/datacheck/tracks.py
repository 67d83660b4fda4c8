"""A finding about time series and stacks: label values that do not stay with their objects."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from datasets import Dataset

from adapt.datacheck.findings import Finding, of_total

ENOUGH = 20
"""Fewer objects with a value in two frames say nothing."""
SHARE = 0.9
"""If fewer of them lie where they were, at least in part, their values are hardly those of tracks."""
COLUMNS = ["group", "slice_of", "tracks", "boxes"]


def jumping_tracks(rows: Dataset) -> list[Finding]:
    """Whether objects of one track lie elsewhere in the next frame, by their boxes; what is then followed is no object.

    Args:
        rows: of a store; see `datamodules.prepare.SCHEMA`.
    """
    rows = rows.select_columns(COLUMNS)
    if not rows[0]["tracks"]:  # then no image of these data has any, and a large store need not be gone through
        return []
    stayed = list(_stayed(rows))
    if len(stayed) < ENOUGH or sum(stayed) >= SHARE * len(stayed):
        return []
    text = (
        f"{of_total(len(stayed) - sum(stayed), len(stayed), 'object')} with one label value in two neighbouring frames "
        "lie elsewhere in the second one: if each frame numbers its objects anew, set data.tracks=overlap"
    )
    return [Finding("jumping_tracks", "warning", text)]


def _stayed(rows: Iterable[Mapping[str, Any]]) -> Iterator[bool]:
    """Of each object that is in a frame and in the next one, whether its boxes share a pixel."""
    found: dict[tuple[str, str, int], dict[int, list[int]]] = {}
    for row in rows:
        if not row["tracks"]:
            continue
        place = (row["group"], row["slice_of"]["volume"], row["slice_of"]["index"])
        found[place] = dict(zip(row["tracks"], row["boxes"], strict=True))
    for (group, volume, index), boxes in found.items():
        after = found.get((group, volume, index + 1), {})
        for track in boxes.keys() & after.keys():
            yield _touch(boxes[track], after[track])


def _touch(one: list[int], other: list[int]) -> bool:
    """Whether two boxes (top, left, height, width) share a pixel."""
    return all(one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2] for axis in (0, 1))
