"""Objects of overlapping tiles become objects of the whole image; pure functions over label maps of tiles.

What two tiles both show is compared there: labels that coincide well enough are one object, through any number of
tiles (union-find). Each pixel has one tile whose inside it is nearest to, its *core*; an object that no tile has in its
core was seen better by a neighbour that did not find it, and is dropped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapt.tiles import Tile

Labels = npt.NDArray[np.integer]
"""(h, w) of a tile: 0 is background, 1 to n are its objects."""


@dataclass(frozen=True, eq=False)
class Stitched:
    """What has become of the objects of T tiles.

    Attributes:
        numbers: of each tile (n + 1,) int64: what each label of the tile is in the whole image, 0 for nothing.
        best: of each object of the whole image, from 1 on: the tile and the label with most of its pixels.
    """

    numbers: list[npt.NDArray[np.int64]]
    best: list[tuple[int, int]]

    @property
    def count(self) -> int:
        """Objects of the whole image."""
        return len(self.best)


class Sets:
    """Things that are one (union-find with halved paths); of those that are joined the first stands for all."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def first(self, thing: int) -> int:
        """What stands for a thing."""
        parents = self._parents
        while parents[thing] != thing:
            parents[thing] = parents[parents[thing]]
            thing = parents[thing]
        return thing

    def join(self, one: int, other: int) -> None:
        """Make one of two things, and of all that they are one with."""
        low, high = sorted((self.first(one), self.first(other)))
        self._parents[high] = low


def same_objects(first: Labels, second: Labels, *, min_iou: float) -> npt.NDArray[np.int64]:
    """(K, 2) labels of two maps of the same pixels that have this IoU in them, at least."""
    wide = int(second.max(initial=0)) + 1
    both = (first > 0) & (second > 0)
    codes, shared = np.unique(first[both].astype(np.int64) * wide + second[both], return_counts=True)
    one, other = np.divmod(codes, wide)
    areas = [np.bincount(labels.ravel()) for labels in (first, second)]
    union = areas[0][one] + areas[1][other] - shared
    pairs: npt.NDArray[np.int64] = np.stack((one, other), axis=1)[shared >= min_iou * union]
    return pairs


def cores(tiles: Sequence[Tile]) -> list[Tile]:
    """The core of each tile of a grid: up to the middle of what it shares with its neighbours. They tile the image."""
    rows = _spans(sorted({(tile.top, tile.height) for tile in tiles}))
    columns = _spans(sorted({(tile.left, tile.width) for tile in tiles}))
    found = []
    for tile in tiles:
        (top, bottom), (left, right) = rows[tile.top], columns[tile.left]
        found.append(Tile(top, left, bottom - top, right - left))
    return found


def _spans(starts: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Start of a tile along a side to the first pixel of its core, and the one behind the last."""
    ends = [start + length for start, length in starts]
    cuts = [(start + end) // 2 for (start, _), end in zip(starts[1:], ends[:-1], strict=True)]
    firsts = [starts[0][0], *cuts]
    return {start: span for (start, _), span in zip(starts, zip(firsts, [*cuts, ends[-1]], strict=True), strict=True)}


def neighbours(tiles: Sequence[Tile]) -> Iterator[tuple[int, int, Tile]]:
    """Pairs of tiles of a grid, given row by row, that share pixels, and what they share; each pair once."""
    columns = len({tile.left for tile in tiles})
    for place, tile in enumerate(tiles):
        for row_begin in range(place // columns * columns, len(tiles), columns):
            if tiles[row_begin].top >= tile.top + tile.height:
                break
            for other in range(max(place + 1, row_begin), row_begin + columns):
                shared = _shared(tile, tiles[other])
                if shared is not None:
                    yield place, other, shared
                elif tiles[other].left >= tile.left + tile.width:
                    break


def _shared(one: Tile, other: Tile) -> Tile | None:
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.height, other.top + other.height)
    right = min(one.left + one.width, other.left + other.width)
    return Tile(top, left, bottom - top, right - left) if bottom > top and right > left else None


def within(labels: Labels, tile: Tile, part: Tile) -> Labels:
    """What a tile's labels show of a part of the image that lies in it."""
    top, left = part.top - tile.top, part.left - tile.left
    return labels[top : top + part.height, left : left + part.width]


def stitch(tiles: Sequence[Tile], load: Callable[[int], Labels], *, min_iou: float) -> Stitched:
    """Number the objects of a grid of tiles through.

    Args:
        tiles: row by row, as `tile_image` gives them.
        load: the labels of a tile; called a few times for each.
        min_iou: of two labels, within what both tiles show, to be one object.
    """
    inside = cores(tiles)
    pixels: list[npt.NDArray[np.int64]] = []
    seen: list[npt.NDArray[np.bool_]] = []
    for place, tile in enumerate(tiles):
        labels = load(place)
        pixels.append(np.bincount(labels.ravel(), minlength=1))
        core = np.bincount(within(labels, tile, inside[place]).ravel(), minlength=len(pixels[-1]))
        seen.append(core > 0)
    firsts = np.cumsum([0, *(len(counts) for counts in pixels)])  # label 0 of each tile has a number too, unused
    sets = Sets(int(firsts[-1]))
    for one, other, shared in neighbours(tiles):
        pairs = (within(load(place), tiles[place], shared) for place in (one, other))
        for first, second in same_objects(*pairs, min_iou=min_iou).tolist():
            sets.join(int(firsts[one]) + first, int(firsts[other]) + second)
    return _numbered(sets, firsts, pixels, seen)


def _numbered(
    sets: Sets,
    firsts: npt.NDArray[np.int64],
    pixels: Sequence[npt.NDArray[np.int64]],
    seen: Sequence[npt.NDArray[np.bool_]],
) -> Stitched:
    pieces = [(place, label) for place, counts in enumerate(pixels) for label in range(1, len(counts)) if counts[label]]
    roots = {piece: sets.first(int(firsts[piece[0]]) + piece[1]) for piece in pieces}
    kept = {roots[piece] for piece in pieces if seen[piece[0]][piece[1]]}
    numbers = [np.zeros(len(counts), dtype=np.int64) for counts in pixels]
    given: dict[int, int] = {}
    best: list[tuple[int, int]] = []
    for place, label in pieces:
        root = roots[place, label]
        if root not in kept:
            continue
        number = given.setdefault(root, len(given) + 1)
        numbers[place][label] = number
        if number > len(best):
            best.append((place, label))
        elif pixels[place][label] > pixels[best[number - 1][0]][best[number - 1][1]]:
            best[number - 1] = (place, label)
    return Stitched(numbers, best)
