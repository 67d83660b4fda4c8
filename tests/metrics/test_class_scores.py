"""Overlap of label maps, by hand, against TorchMetrics and MONAI; and gathered from several processes."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics import DiceHelper
from torchmetrics.classification import MulticlassJaccardIndex

from adapt.metrics import class_counts, class_dices, class_ious, group_scores, mean_over_groups, put_together
from adapt.metrics.gathered_classes import GatheredClassIou

CLASSES = 3
Labels = npt.NDArray[np.int64]


def maps(number: int) -> tuple[Labels, Labels]:
    random = np.random.default_rng(number)
    truth = random.integers(0, CLASSES + 1, size=(20, 31))
    answer = np.where(random.random(truth.shape) < 0.6, truth, random.integers(0, CLASSES + 1, size=truth.shape))
    return answer, truth


def test_by_hand() -> None:
    """Class 1: 2 of 3 pixels found and none else; class 2: 1 found too many, 2 right; class 3 is nowhere."""
    truth = np.array([[1, 1, 1, 0], [2, 2, 0, 0]])
    answer = np.array([[1, 1, 2, 0], [2, 2, 0, 0]])
    counts = class_counts(answer, truth, classes=CLASSES)
    assert counts.tolist() == [[3, 3, 3], [2, 2, 3], [2, 3, 2], [0, 0, 0]]
    np.testing.assert_allclose(class_ious(counts), [1, 2 / 3, 2 / 3, np.nan])
    np.testing.assert_allclose(class_dices(counts), [1, 4 / 5, 4 / 5, np.nan])
    assert group_scores({"g": class_ious(counts)}) == {"g": pytest.approx(2 / 3)}


def test_a_class_that_is_answered_where_it_is_not_scores_nothing() -> None:
    counts = class_counts(np.array([[1, 3]]), np.array([[1, 0]]), classes=CLASSES)
    np.testing.assert_allclose(class_ious(counts), [0, 1, np.nan, 0])
    assert group_scores({"g": class_ious(counts)}) == {"g": 0.5}


def test_several_images_of_a_group_equal_torchmetrics_and_monai() -> None:
    pairs = [maps(number) for number in range(5)]
    counts = put_together(("g", class_counts(*pair, classes=CLASSES)) for pair in pairs)["g"]
    index = MulticlassJaccardIndex(num_classes=CLASSES + 1, average=None)
    for answer, truth in pairs:
        index.update(torch.from_numpy(answer), torch.from_numpy(truth))
    np.testing.assert_allclose(class_ious(counts), index.compute().numpy(), rtol=1e-6)
    answers, truths = (torch.from_numpy(np.concatenate(side))[None, None] for side in zip(*pairs, strict=True))
    dices, _ = DiceHelper(num_classes=CLASSES + 1, reduction="none", include_background=True)(answers, truths)
    np.testing.assert_allclose(class_dices(counts), dices[0].numpy(), rtol=1e-6)


def test_groups_weigh_the_same_however_many_images_they_have() -> None:
    one, other = class_counts(*maps(0), classes=CLASSES), class_counts(*maps(1), classes=CLASSES)
    together = put_together([("a", one), ("b", other), ("a", one), ("a", one)])
    scores = group_scores({group: class_ious(counts) for group, counts in together.items()})
    expected = [float(class_ious(counts)[1:].mean()) for counts in (one, other)]
    assert mean_over_groups(scores) == pytest.approx(np.mean(expected))


def test_a_group_without_a_class_has_no_score() -> None:
    nothing = np.zeros((4, 4), dtype=np.int64)
    assert group_scores({"g": class_ious(class_counts(nothing, nothing, classes=CLASSES))}) == {}


def test_what_is_gathered_is_the_same_and_a_sample_that_comes_twice_counts_once() -> None:
    counts = {number: class_counts(*maps(number), classes=CLASSES) for number in range(4)}
    gathered = GatheredClassIou()
    for number in (3, 1, 0, 2, 3, 0):
        gathered.update(counts[number], key=number, group="ab"[number % 2])
    together = put_together(("ab"[number % 2], own) for number, own in counts.items())
    scores = group_scores({group: class_ious(own) for group, own in together.items()})
    assert float(gathered.compute()) == pytest.approx(mean_over_groups(scores), abs=1e-7)
    gathered.reset()
    gathered.update(counts[2], key=2, group="a")
    assert float(gathered.compute()) == pytest.approx(class_ious(counts[2])[1:].mean(), abs=1e-7)
