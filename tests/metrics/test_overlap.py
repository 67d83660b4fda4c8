"""IoU and Dice by hand, against TorchMetrics and against sets of pixels."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from adapt.metrics import dice, iou

Masks = npt.NDArray[np.bool_]

STACKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.booleans())
PAIRS = hnp.array_shapes(min_dims=3, max_dims=3, max_side=7).flatmap(
    lambda shape: st.tuples(hnp.arrays(np.bool_, shape), hnp.arrays(np.bool_, shape))
)


def _rectangle(top: int, left: int, bottom: int, right: int) -> Masks:
    mask = np.zeros((6, 8), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def _pixels(mask: Masks) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.argwhere(mask).tolist()}


def test_two_rectangles_by_hand() -> None:
    """3 x 4 and 3 x 4 pixels that share 2 x 3: 6 of 12 + 12 - 6 = 18."""
    one, other = _rectangle(0, 0, 3, 4), _rectangle(1, 1, 4, 5)
    assert iou(one, other) == pytest.approx(6 / 18)
    assert dice(one, other) == pytest.approx(12 / 24)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (_rectangle(0, 0, 0, 0), _rectangle(0, 0, 0, 0), 1.0),  # nothing was asked for and nothing was said
        (_rectangle(0, 0, 0, 0), _rectangle(1, 1, 2, 2), 0.0),
        (_rectangle(1, 1, 2, 2), _rectangle(0, 0, 0, 0), 0.0),
        (_rectangle(0, 0, 2, 2), _rectangle(4, 4, 6, 6), 0.0),
        (_rectangle(2, 3, 5, 7), _rectangle(2, 3, 5, 7), 1.0),
    ],
)
def test_empty_disjoint_and_equal_masks(one: Masks, other: Masks, expected: float) -> None:
    assert iou(one, other) == expected
    assert dice(one, other) == expected


@given(pair=PAIRS)
def test_scores_equal_those_of_sets_of_pixels(pair: tuple[Masks, Masks]) -> None:
    predicted, truth = pair
    for index, (found, overlap, score) in enumerate(
        zip(predicted, iou(predicted, truth), dice(predicted, truth), strict=True)
    ):
        one, other = _pixels(found), _pixels(truth[index])
        assert overlap == (len(one & other) / len(one | other) if one | other else 1.0)
        assert score == (2 * len(one & other) / (len(one) + len(other)) if one | other else 1.0)


@given(pair=PAIRS)
def test_dice_follows_from_iou(pair: tuple[Masks, Masks]) -> None:
    overlap = iou(*pair)
    np.testing.assert_allclose(dice(*pair), 2 * overlap / (1 + overlap), rtol=1e-12)


@given(pair=PAIRS)
def test_scores_do_not_depend_on_which_mask_is_the_truth(pair: tuple[Masks, Masks]) -> None:
    predicted, truth = pair
    assert iou(predicted, truth).tolist() == iou(truth, predicted).tolist()
    assert dice(predicted, truth).tolist() == dice(truth, predicted).tolist()


def test_scores_equal_torchmetrics() -> None:
    random = np.random.default_rng(0)
    predicted, truth = random.random((12, 20, 31)) < 0.4, random.random((12, 20, 31)) < 0.3
    ious, dices = iou(predicted, truth), dice(predicted, truth)
    for index in range(len(truth)):
        masks = torch.from_numpy(predicted[index]), torch.from_numpy(truth[index])
        assert ious[index] == pytest.approx(BinaryJaccardIndex()(*masks).item(), abs=1e-6)
        assert dices[index] == pytest.approx(BinaryF1Score()(*masks).item(), abs=1e-6)


def test_candidates_are_compared_with_their_own_object() -> None:
    """(N, M, H, W) candidates against (N, 1, H, W) truths, as the evaluation calls it."""
    truth = np.stack([_rectangle(0, 0, 2, 2), _rectangle(2, 2, 6, 6)])
    candidates = np.stack([truth, truth], axis=0)  # each object is offered itself and the other one
    assert iou(candidates, truth[:, None]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert dice(candidates, truth[:, None]).tolist() == [[1.0, 0.0], [0.0, 1.0]]
