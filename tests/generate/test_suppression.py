"""Non-maximum suppression, against its definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapt.generate.suppression import suppress


def naive(boxes: list[list[int]], scores: list[float], most: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: (-scores[index], index)):
        if all(overlap(boxes[index], boxes[other]) <= most for other in kept):
            kept.append(index)
    return kept


def overlap(one: list[int], other: list[int]) -> float:
    if one == other:
        return 1.0
    wide = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    tall = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - wide * tall
    return wide * tall / union if union else 0.0


BOX = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 9)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@given(st.lists(st.tuples(BOX, st.sampled_from([0.1, 0.5, 0.9, 0.95])), max_size=40), st.sampled_from([0.0, 0.3, 0.7]))
def test_what_stays_is_what_the_definition_says(scored: list[tuple[list[int], float]], most: float) -> None:
    boxes, scores = [box for box, _ in scored], [score for _, score in scored]
    kept = suppress(np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(scores), most=most)
    assert kept.tolist() == naive(boxes, scores, most)


def test_equal_boxes_of_one_pixel_are_doubles() -> None:
    boxes = np.array([[3, 3, 3, 3], [3, 3, 3, 3], [4, 3, 4, 3]], dtype=np.float64)
    assert suppress(boxes, np.array([0.5, 0.9, 0.1]), most=0.7).tolist() == [1, 2]


def test_thousands_of_boxes_that_all_stay_take_no_memory_in_their_square() -> None:
    corners = np.stack(np.meshgrid(np.arange(70), np.arange(70)), axis=-1).reshape(-1, 2) * 10.0
    boxes = np.concatenate((corners, corners + 9), axis=1)
    assert len(suppress(boxes, np.ones(len(boxes)), most=0.7)) == 4900
