"""Tiles put together: with a segmenter that answers exactly, nothing tells that there were tiles."""

import itertools
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapt.predict.mosaic import Part, compose
from adapt.predict.stitching import Sets, cores, neighbours, same_objects, stitch
from adapt.tiles import Tile, tile_image

Map = npt.NDArray[np.int64]


def discs(height: int, width: int, *, count: int, seed: int, largest: int) -> Map:
    """(H, W) labels of discs that do not touch one another; some reach over the border."""
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    labels = np.zeros((height, width), dtype=np.int64)
    for _ in range(count):
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(2, largest)
        near = (rows - y) ** 2 + (columns - x) ** 2
        if not labels[near <= (radius + 2) ** 2].any() and (near <= radius**2).any():
            labels[near <= radius**2] = labels.max() + 1
    return labels


def oracle(truth: Map, tiles: list[Tile]) -> list[Map]:
    """What a segmenter that makes no mistake finds in each tile, numbered in an order of its own."""
    found = []
    for place, tile in enumerate(tiles):
        shown = truth[tile.slices]
        values = np.setdiff1d(np.unique(shown), [0])
        order = np.random.default_rng(place).permutation(values)
        numbers = np.zeros(truth.max() + 1, dtype=np.int64)
        numbers[order] = np.arange(1, len(order) + 1)
        found.append(numbers[shown])
    return found


def whole(tiles: list[Tile], maps: list[Map], *, height: int, width: int) -> tuple[Map, int]:
    stitched = stitch(tiles, maps.__getitem__, min_iou=0.5)
    parts = [
        Part(tile, core, partial(np.asarray, labels), numbers)
        for tile, core, labels, numbers in zip(tiles, cores(tiles), maps, stitched.numbers, strict=True)
    ]
    strips = [strip for _, strip in compose(parts, height=height, width=width)]
    return np.concatenate(strips), stitched.count


def same_partition(one: Map, other: Map) -> bool:
    """Whether two maps are equal but for the numbers of their objects."""
    pairs = np.unique(np.stack((one.ravel(), other.ravel())), axis=1).T
    return bool(len(pairs) == len(np.unique(one)) == len(np.unique(other)) and ([0, 0] in pairs.tolist() or one.all()))


@settings(max_examples=25)
@given(
    height=st.integers(20, 150),
    width=st.integers(20, 150),
    size=st.integers(24, 64),
    overlap=st.integers(4, 23),
    seed=st.integers(0, 99),
)
def test_stitched_discs_are_those_of_the_whole_image(
    height: int, width: int, size: int, overlap: int, seed: int
) -> None:
    truth = discs(height, width, count=40, seed=seed, largest=40)
    tiles = tile_image(height, width, size=size, overlap=overlap)
    labels, count = whole(tiles, oracle(truth, tiles), height=height, width=width)
    assert same_partition(labels, truth)
    assert count == truth.max() == labels.max()


def test_an_image_higher_than_a_strip_is_composed_without_a_seam() -> None:
    truth = discs(1300, 90, count=200, seed=1, largest=40)
    tiles = tile_image(1300, 90, size=64, overlap=16)
    labels, _ = whole(tiles, oracle(truth, tiles), height=1300, width=90)
    assert same_partition(labels, truth)


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(2, 64), st.data())
def test_cores_cover_every_pixel_once(height: int, width: int, size: int, data: st.DataObject) -> None:
    tiles = tile_image(height, width, size=size, overlap=data.draw(st.integers(0, size - 1)))
    covered = np.zeros((height, width), dtype=int)
    for tile, core in zip(tiles, cores(tiles), strict=True):
        covered[core.slices] += 1
        assert tile.top <= core.top and core.top + core.height <= tile.top + tile.height
        assert tile.left <= core.left and core.left + core.width <= tile.left + tile.width
    assert (covered == 1).all()


@settings(max_examples=25)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(4, 40), st.data())
def test_neighbours_are_all_pairs_that_share_pixels(height: int, width: int, size: int, data: st.DataObject) -> None:
    tiles = tile_image(height, width, size=size, overlap=data.draw(st.integers(0, size - 1)))
    masks = np.zeros((len(tiles), height, width), dtype=bool)
    for mask, tile in zip(masks, tiles, strict=True):
        mask[tile.slices] = True
    expected = {(a, b) for a, b in itertools.combinations(range(len(tiles)), 2) if (masks[a] & masks[b]).any()}
    found = {(a, b): shared for a, b, shared in neighbours(tiles)}
    assert set(found) == expected
    for (a, b), shared in found.items():
        assert (masks[a] & masks[b])[shared.slices].all() and (
            masks[a] & masks[b]
        ).sum() == shared.height * shared.width


@pytest.mark.parametrize(("shift", "joined"), [(0, True), (3, True), (4, False)])
def test_labels_are_one_object_from_the_iou_on(shift: int, joined: bool) -> None:
    first, second = np.zeros((4, 20), dtype=int), np.zeros((4, 20), dtype=int)
    first[:, 0:10], second[:, shift : 10 + shift] = 3, 7
    pairs = same_objects(first, second, min_iou=7 / 13)  # 7 columns of 13 at a shift of 3
    assert pairs.tolist() == ([[3, 7]] if joined else [])


def test_an_object_that_only_the_rim_of_a_tile_shows_is_dropped() -> None:
    """The tile in whose core it would lie sees background there."""
    tiles = [Tile(0, 0, 20, 30), Tile(0, 20, 20, 30)]  # they share columns 20 to 29; cores meet at 25
    left, right = np.zeros((20, 30), dtype=int), np.zeros((20, 30), dtype=int)
    left[5:9, 26:30] = 1
    labels, count = whole(tiles, [left, right], height=20, width=50)
    assert count == 0 and not labels.any()


def test_an_object_that_reaches_into_the_next_core_stays_whole() -> None:
    tiles = [Tile(0, 0, 20, 30), Tile(0, 20, 20, 30)]
    left, right = np.zeros((20, 30), dtype=int), np.zeros((20, 30), dtype=int)
    left[5:9, 22:30] = 1
    labels, count = whole(tiles, [left, right], height=20, width=50)
    assert count == 1 and labels[5:9, 22:30].all() and labels.sum() == 4 * 8


def test_objects_that_are_disputed_end_at_the_middle_of_what_both_tiles_show() -> None:
    tiles = [Tile(0, 0, 20, 30), Tile(0, 20, 20, 30)]
    left, right = np.zeros((20, 30), dtype=int), np.zeros((20, 30), dtype=int)
    left[5:9, 10:30], right[0:20, 0:20] = 1, 1  # 4 rows of 20: an IoU of 0.2
    labels, count = whole(tiles, [left, right], height=20, width=50)
    assert count == 2
    assert (labels[5:9, 10:25] == 1).all() and (labels[:, 25:40] == 2).all() and (labels[0:5, 20:25] == 2).all()


def test_of_joined_things_the_first_stands_for_all() -> None:
    sets = Sets(6)
    for pair in ((4, 5), (3, 4), (5, 1)):
        sets.join(*pair)
    assert [sets.first(thing) for thing in range(6)] == [0, 1, 2, 1, 1, 1]


def test_the_number_of_an_object_follows_the_tiles() -> None:
    truth = discs(100, 100, count=30, seed=5, largest=12)
    tiles = tile_image(100, 100, size=40, overlap=10)
    maps = oracle(truth, tiles)
    first, second = (stitch(tiles, maps.__getitem__, min_iou=0.5) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first.numbers, second.numbers, strict=True))
    seen = [number for numbers in first.numbers for number in numbers[1:].tolist()]
    assert list(dict.fromkeys(seen)) == list(range(1, first.count + 1))
