"""Label maps of tiles on disk, composed into strips of the whole image: memory is that of a row of tiles."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.files import write_file
from adapt.formats import narrowest
from adapt.predict.stitching import Labels, within
from adapt.tiles import Tile

STRIP = 512
"""Rows that are composed at once; whole blocks of what is written."""
Strips = Callable[[], Iterator[tuple[int, npt.NDArray[np.int32]]]]
"""From top to bottom: the first row of each strip, and its (h, W) labels."""


@dataclass(frozen=True, eq=False)
class Part:
    """A tile of a mosaic.

    Attributes:
        tile: where it lies.
        core: where its labels go before those of other tiles.
        labels: reads its (h, w) labels.
        numbers: what each of its labels is in the whole image.
    """

    tile: Tile
    core: Tile
    labels: Callable[[], Labels]
    numbers: npt.NDArray[np.int64]


def compose(parts: Sequence[Part], *, height: int, width: int) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
    """Strips of the whole image, from top to bottom.

    In its core a tile has the first word; where it sees background, an object of another tile that reaches in there
    goes on, so that an object that only one tile has found is whole.
    """

    @lru_cache(maxsize=2 * max(1, len({part.tile.left for part in parts})))
    def numbered(place: int) -> npt.NDArray[np.int32]:
        return parts[place].numbers.astype(np.int32)[parts[place].labels()]

    for top in range(0, height, STRIP):
        strip = Tile(top, 0, min(STRIP, height - top), width)
        composed = np.zeros((strip.height, width), dtype=np.int32)
        touching = [place for place, part in enumerate(parts) if _rows(part.tile, strip)]
        for area in ("core", "tile"):
            for place in touching:
                seen = _shared_part(getattr(parts[place], area), strip)
                if seen is None:
                    continue
                below = within(composed, strip, seen)
                labels = within(numbered(place), parts[place].tile, seen)
                np.copyto(below, labels, where=below == 0)
        yield top, composed


def _rows(tile: Tile, strip: Tile) -> bool:
    return tile.top < strip.top + strip.height and strip.top < tile.top + tile.height


def _shared_part(tile: Tile, strip: Tile) -> Tile | None:
    top, bottom = max(tile.top, strip.top), min(tile.top + tile.height, strip.top + strip.height)
    return Tile(top, tile.left, bottom - top, tile.width) if bottom > top else None


def write_spool(path: Path, labels: Labels, facts: Sequence[Mapping[str, Any]]) -> None:
    """Keep the labels of a tile, and what is known of each of its objects; whole or not at all."""

    def write(file: Any) -> None:  # noqa: ANN401 - a binary file
        text = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        np.savez_compressed(file, labels=labels.astype(narrowest(labels)), facts=text)

    write_file(path, write)


def read_labels(path: Path) -> Labels:
    """The labels of a spooled tile."""
    with np.load(path, allow_pickle=False) as spooled:
        labels: Labels = spooled["labels"]
        return labels


def read_facts(path: Path) -> list[dict[str, Any]]:
    """What is known of its objects, from label 1 on."""
    with np.load(path, allow_pickle=False) as spooled:
        facts: list[dict[str, Any]] = json.loads(spooled["facts"].tobytes())
        return facts
