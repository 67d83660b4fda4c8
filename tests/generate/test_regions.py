"""Small holes and islands, against another library."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from adapt.generate.regions import without_small_regions

TOUCHING = np.ones((3, 3))


def reference(mask: np.ndarray, least: int) -> np.ndarray:
    filled = mask.copy()
    holes, count = ndimage.label(~mask, TOUCHING)
    for number in range(1, count + 1):
        if (holes == number).sum() < least:
            filled[holes == number] = True
    islands, count = ndimage.label(filled, TOUCHING)
    areas = [(islands == number).sum() for number in range(1, count + 1)]
    stay = [number + 1 for number, area in enumerate(areas) if area >= least]
    if areas and not stay:
        stay = [int(np.argmax(areas)) + 1]
    return np.isin(islands, stay)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(1, 12))
def test_holes_are_filled_and_islands_removed_as_another_library_would(mask: np.ndarray, least: int) -> None:
    np.testing.assert_array_equal(without_small_regions(mask, least=least), reference(mask, least))


def test_of_islands_that_are_all_too_small_the_largest_stays() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[1, 1] = mask[5:7, 5:7] = True
    cleaned = without_small_regions(mask, least=20)
    assert cleaned.sum() == 4 and cleaned[5, 5]


def test_a_mask_without_small_regions_stays_as_it_is() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 2:7] = True
    np.testing.assert_array_equal(without_small_regions(mask, least=5), mask)
