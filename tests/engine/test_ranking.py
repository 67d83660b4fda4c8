"""Which images are looked at first."""

import numpy as np
import pytest

from adapt.engine import Signals, candidate_disagreement, rank_images, unstable, unsure, view_disagreement
from adapt.metrics import label_map_overlaps


def test_doubt_is_what_the_mean_lacks_and_whole_where_nothing_was_found() -> None:
    assert unsure([0.9, 0.7, 1.1]) == pytest.approx(1 - (0.9 + 0.7 + 1) / 3)  # an expected IoU may be above 1
    assert unstable([0.5]) == 0.5
    assert (unsure([]), unstable([])) == (1, 1)


def test_candidates_that_are_alike_agree() -> None:
    alike, apart = np.ones((3, 3)), np.eye(3)
    assert candidate_disagreement([alike]) == 0
    assert candidate_disagreement([alike, apart]) == 0.5
    assert candidate_disagreement([]) == 1


def test_views_agree_where_the_same_objects_are_found() -> None:
    first = np.array([[1, 1, 0, 2, 2, 0]])
    nothing = np.zeros_like(first)
    same, half, none, both_none = (
        label_map_overlaps(view, truth)
        for view, truth in ((first, first), (first * (first < 2), first), (nothing, first), (nothing, nothing))
    )
    assert view_disagreement([same]) == 0
    assert view_disagreement([half]) == pytest.approx(1 / 3)
    assert view_disagreement([none]) == 1
    assert view_disagreement([both_none]) == 0
    assert view_disagreement([same, none]) == 0.5


def test_the_least_sure_comes_first_and_equal_ones_by_name() -> None:
    images = {"b": Signals(unsure=0.1), "c": Signals(unsure=0.8), "a": Signals(unsure=0.1)}
    assert rank_images(images) == ["c", "a", "b"]


def test_each_signal_has_one_voice_whatever_its_scale() -> None:
    """A signal of large values would outvote the two others in a mean of values."""
    images = {
        "loud": Signals(unsure=0.9, unstable=0.001, candidates=0.001),
        "quiet": Signals(unsure=0.1, unstable=0.003, candidates=0.002),
        "least": Signals(unsure=0.0, unstable=0.002, candidates=0.0),
    }
    assert rank_images(images) == ["quiet", "loud", "least"]


def test_a_signal_of_some_images_alone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="views was measured of 1 of 2 images"):
        rank_images({"a": Signals(unsure=0.1, views=0.2), "b": Signals(unsure=0.1)})


def test_no_image_has_no_rank() -> None:
    assert rank_images({}) == []
