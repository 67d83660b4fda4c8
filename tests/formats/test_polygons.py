"""Label rasters and polygons: one becomes the other without the change of a pixel."""

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from adapt.errors import DataError
from adapt.formats.polygons import draw_polygons, polygonise
from adapt.tiles import Tile

coordinates = st.floats(-20, 40, allow_nan=False, allow_subnormal=False)


@given(labels=arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4)))
def test_labels_survive_the_way_to_polygons_and_back(labels: npt.NDArray[np.uint16]) -> None:
    found = polygonise(labels)
    assert list(found) == sorted(set(labels[labels > 0].tolist()))
    masks = draw_polygons(np.array(list(found.values()), dtype=object), Tile(0, 0, *labels.shape))
    for (value, polygon), mask in zip(found.items(), masks, strict=True):
        np.testing.assert_array_equal(mask, labels == value)
        assert polygon.is_valid
        assert polygon.area == (labels == value).sum()


def test_a_hole_and_two_parts_stay_one_feature() -> None:
    labels = np.zeros((8, 12), dtype=np.int64)
    labels[1:6, 1:6], labels[3, 3], labels[1:3, 9:11] = 7, 0, 7
    [polygon] = polygonise(labels).values()
    assert polygon.geom_type == "MultiPolygon"
    assert sorted(len(part.interiors) for part in polygon.geoms) == [0, 1]
    assert polygon.bounds == (1, 1, 11, 6)


def test_values_too_large_for_polygons_are_refused() -> None:
    with pytest.raises(DataError, match="label 2147483648 is too large for polygons; number the objects from 1"):
        polygonise(np.full((2, 2), 2**31, dtype=np.uint32))


@given(
    rings=st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=3), min_size=1, max_size=3),
    top=st.integers(-5, 10),
    left=st.integers(-5, 10),
)
def test_a_pixel_belongs_to_a_polygon_if_its_centre_is_inside(
    rings: list[list[tuple[float, float]]], top: int, left: int
) -> None:
    polygons = [shapely.Polygon(ring) for ring in rings]
    polygons = [polygon for polygon in polygons if polygon.is_valid and polygon.area > 1e-3]
    tile = Tile(top, left, 14, 17)
    masks = draw_polygons(np.array(polygons, dtype=object), tile)
    assert masks.shape == (len(polygons), 14, 17)
    y, x = np.mgrid[top : top + 14, left : left + 17] + 0.5
    centres = shapely.points(x, y)
    for polygon, mask in zip(polygons, masks, strict=True):
        clear = shapely.distance(polygon.exterior, centres) > 1e-6  # on the line itself either answer is right
        np.testing.assert_array_equal(mask[clear], shapely.contains(polygon, centres)[clear])


def test_polygons_that_overlap_stay_overlapping() -> None:
    both = np.array([shapely.box(0, 0, 6, 6), shapely.box(4, 4, 8, 8)], dtype=object)
    masks = draw_polygons(both, Tile(0, 0, 10, 10))
    assert masks.sum((1, 2)).tolist() == [36, 16]
    assert (masks[0] & masks[1]).sum() == 4


def test_no_polygon_is_no_mask() -> None:
    assert draw_polygons(np.array([], dtype=object), Tile(0, 0, 3, 4)).shape == (0, 3, 4)
