"""The grid of clicks and the crops, against the published functions that transformers carries."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.sam import image_processing_pil_sam as published

from adapt.generate.grid import crops_of, point_grid

SIDE = st.integers(8, 3000)


def test_points_lie_at_the_centres_of_equal_cells() -> None:
    np.testing.assert_allclose(point_grid(2), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])


@given(st.integers(1, 64))
def test_the_grid_is_the_published_one(per_side: int) -> None:
    np.testing.assert_allclose(point_grid(per_side), published._build_point_grid(per_side), atol=1e-12)


@given(SIDE, SIDE, st.integers(0, 2), st.floats(0, 0.6))
def test_crops_are_the_published_ones(height: int, width: int, layers: int, overlap: float) -> None:
    crops = crops_of(height, width, layers=layers, overlap=overlap)
    boxes, of_layers = published._generate_per_layer_crops(layers, overlap, (height, width))
    expected = [(tuple(box), layer) for box, layer in zip(boxes, of_layers, strict=True) if box[0] < box[2]]
    expected = [(box, layer) for box, layer in dict.fromkeys(expected) if box[1] < box[3]]
    assert [(crop.box, crop.layer) for crop in crops] == expected


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 3), st.floats(0, 1))
def test_crops_of_a_layer_cover_even_the_smallest_image_and_none_is_empty(
    height: int, width: int, layers: int, overlap: float
) -> None:
    crops = crops_of(height, width, layers=layers, overlap=overlap)
    for layer in range(layers + 1):
        covered = np.zeros((height, width), dtype=bool)
        for crop in crops:
            left, top, right, bottom = crop.box
            assert left < right <= width and top < bottom <= height
            if crop.layer == layer:
                covered[top:bottom, left:right] = True
        assert covered.all()
