"""Tiles cover an image, keep their size and overlap, and tell which objects they cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.tiles import Tile, cut_by_border, tile_image

LENGTH = st.integers(1, 90)


@given(height=LENGTH, width=LENGTH, size=st.integers(1, 40), data=st.data())
def test_cutting_and_putting_back_gives_the_image(height: int, width: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    image = np.arange(height * width).reshape(height, width) + 1
    back = np.zeros_like(image)
    tiles = tile_image(height, width, size=size, overlap=overlap)
    for tile in tiles:
        part = image[tile.slices]
        assert part.shape == (tile.height, tile.width) == (min(size, height), min(size, width))
        back[tile.slices] = part
    assert np.array_equal(back, image)
    assert len(set(tiles)) == len(tiles)
    for starts, length in (({t.top for t in tiles}, height), ({t.left for t in tiles}, width)):
        ordered = sorted(starts)
        assert all(b - a <= size - overlap for a, b in pairwise(ordered)), length


@pytest.mark.parametrize("overlap", [-1, 8, 9])
def test_an_overlap_that_does_not_fit_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap must be from 0 to 7"):
        tile_image(20, 20, size=8, overlap=overlap)


def test_only_a_border_inside_the_image_cuts() -> None:
    masks = np.zeros((4, 8, 8), dtype=bool)
    masks[0, 0, 3] = masks[1, 7, 3] = masks[2, 3, 7] = masks[3, 3, 3] = True
    assert cut_by_border(masks, Tile(0, 0, 8, 8), height=8, width=8).tolist() == [False] * 4
    assert cut_by_border(masks, Tile(0, 0, 8, 8), height=9, width=8).tolist() == [False, True, False, False]
    assert cut_by_border(masks, Tile(1, 0, 8, 8), height=9, width=9).tolist() == [True, False, True, False]
    assert cut_by_border(masks[:0], Tile(0, 0, 8, 8), height=9, width=8).tolist() == []
