"""Outlines lie on the border of a mask and nowhere else."""

import numpy as np
import numpy.typing as npt
import pytest

from adapt.drawing import draw_mask

GREEN = (0, 255, 0)


def _drawn(mask: npt.NDArray[np.bool_], **options: object) -> npt.NDArray[np.uint8]:
    picture = np.full((40, 50, 3), 100, dtype=np.uint8)
    draw_mask(picture, mask, colour=GREEN, thickness=1, **options)
    return picture


def _square() -> npt.NDArray[np.bool_]:
    mask = np.zeros((40, 50), dtype=bool)
    mask[10:20, 5:30] = True
    return mask


def _border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    inner = np.zeros_like(mask)
    inner[11:19, 6:29] = True
    return mask & ~inner


def test_the_outline_is_the_border_and_the_inside_is_tinted() -> None:
    picture = _drawn(_square(), tint=0.5)
    is_green = (picture == GREEN).all(-1)
    np.testing.assert_array_equal(is_green, _border(_square()))
    assert (picture[12:18, 7:28] == (50, 177, 50)).all()
    assert (picture[~_square()] == 100).all()


def test_a_box_is_drawn_where_it_begins() -> None:
    whole = _drawn(_square())
    np.testing.assert_array_equal(_drawn(np.ones((10, 25), dtype=bool), corner=(10, 5)), whole)


def test_a_dashed_outline_has_gaps_as_long_as_its_dashes() -> None:
    through = (_drawn(_square()) == GREEN).all(-1)
    dashed = (_drawn(_square(), dash=4) == GREEN).all(-1)
    assert not (dashed & ~through).any()
    assert dashed.sum() == pytest.approx(through.sum() / 2, abs=4)


def test_a_mask_of_many_pieces_gets_thin_outlines() -> None:
    speckles = np.zeros((40, 50), dtype=bool)
    speckles[1:39:4, 1:49:4] = True
    picture = np.zeros((40, 50, 3), dtype=np.uint8)
    draw_mask(picture, speckles, colour=GREEN, thickness=5)
    np.testing.assert_array_equal((picture == GREEN).all(-1), speckles)
