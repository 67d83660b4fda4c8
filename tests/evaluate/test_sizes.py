"""Three parts of the objects by area."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.evaluate.sizes import SIZES, size_parts


def _parts(areas: list[int]) -> list[tuple[str, int, int, int]]:
    return [(part.name, part.least, part.greatest, part.objects) for part in size_parts(areas)]


def test_nine_objects_fall_into_equal_parts() -> None:
    areas = [9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert _parts(areas) == [("small", 1, 3, 3), ("medium", 4, 6, 3), ("large", 7, 9, 3)]


@pytest.mark.parametrize("areas", [[], [5], [5, 6]])
def test_fewer_than_three_objects_have_no_parts(areas: list[int]) -> None:
    assert _parts(areas) == []


def test_equal_areas_are_never_torn_apart() -> None:
    assert _parts([5, 5, 5]) == [("small", 5, 5, 3)]
    assert _parts([1, 2, 2, 2, 2, 3]) == [("small", 1, 2, 5), ("large", 3, 3, 1)]


@given(st.lists(st.integers(1, 50), min_size=3, max_size=60))
def test_every_object_is_in_one_part_and_parts_ascend(areas: list[int]) -> None:
    parts = size_parts(areas)
    assert sum(part.objects for part in parts) == len(areas)
    for part in parts:
        assert sum(part.least <= area <= part.greatest for area in areas) == part.objects
    assert all(one.greatest < other.least for one, other in pairwise(parts))
    assert [SIZES.index(part.name) for part in parts] == sorted(SIZES.index(part.name) for part in parts)
    if len(set(areas)) == len(areas):
        assert max(part.objects for part in parts) - min(part.objects for part in parts) <= 1
