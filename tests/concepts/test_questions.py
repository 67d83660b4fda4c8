"""What images are asked, what is true of it, and how answers are counted: by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from adapt.concepts import (
    ConceptObjective,
    ConceptWeights,
    MatchCosts,
    Question,
    Vocabulary,
    found_ious,
    questions_of,
    wanted_of,
    words_for,
)
from adapt.errors import DataError
from adapt.samples import Batch
from adapt.segmenters import Texts

WEIGHTS = ConceptWeights(20, 10, 10, 5, 2, 200, 10, MatchCosts(2, 5, 2))
NAMES = ("cell", "disc", "nail", "ring")
OBJECTIVE = ConceptObjective(
    vocabulary=Vocabulary(NAMES, Texts(torch.zeros(4, 3, 2), torch.ones(4, 3, dtype=torch.bool))),
    present=8,
    absent=1,
    weights=WEIGHTS,
    threshold=0.5,
    seed=0,
)


def batch() -> Batch:
    """An image of two discs and a cell, and one of a ring, whose second object is padding's."""
    masks = torch.zeros(2, 3, 16, 16, dtype=torch.bool)
    masks[0, 0, 2:6, 4:12] = masks[0, 1, 8:12, 0:4] = masks[0, 2, 12:16, 8:16] = masks[1, 0, 0:8, 0:8] = True
    return Batch(
        images=torch.zeros(2, 3, 16, 16),
        extents=torch.full((2, 2), 16.0),
        masks=masks,
        object_valid=torch.tensor([[True, True, True], [True, False, False]]),
        sample_keys=torch.tensor([11, 12]),
        categories=(("disc", "cell", "disc"), ("ring",)),
        groups=("a", "b"),
        sample_ids=("a", "b"),
        spacings=torch.ones(2, 2),
    )


def test_an_image_is_asked_for_what_it_shows_and_for_others_that_it_does_not() -> None:
    asked = questions_of(batch(), OBJECTIVE, epoch=0)
    assert asked[:2] == [Question(0, 0, (1,)), Question(0, 1, (0, 2))]
    assert asked[2].image == 0 and NAMES[asked[2].name] in ("nail", "ring") and not asked[2].objects
    assert asked[3] == Question(1, 3, (0,))
    assert asked[4].image == 1 and NAMES[asked[4].name] != "ring" and not asked[4].objects
    assert len(asked) == 5


def test_what_is_drawn_depends_on_the_image_and_the_epoch_alone() -> None:
    both = batch()
    second = replace(
        both,
        images=both.images[1:],
        extents=both.extents[1:],
        masks=both.masks[1:],
        object_valid=both.object_valid[1:],
        sample_keys=both.sample_keys[1:],
        categories=both.categories[1:],
        groups=both.groups[1:],
        sample_ids=both.sample_ids[1:],
        spacings=both.spacings[1:],
        counted=both.counted[1:],
        weights=both.weights[1:],
    )
    drawn = set()
    for epoch in range(12):
        together = [replace(one, image=0) for one in questions_of(both, OBJECTIVE, epoch=epoch) if one.image == 1]
        assert together == questions_of(second, OBJECTIVE, epoch=epoch)
        drawn |= {one.name for one in together if not one.objects}
    assert drawn == {0, 1, 2}


def test_no_more_is_asked_than_the_recipe_says_and_than_there_is() -> None:
    few = replace(OBJECTIVE, present=1, absent=0)
    assert [one.image for one in questions_of(batch(), few, epoch=0)] == [0, 1]
    many = replace(OBJECTIVE, absent=9)
    assert [one.image for one in questions_of(batch(), many, epoch=0)] == [0] * 4 + [1] * 4


def test_a_category_whose_object_is_too_thin_for_the_model_is_not_asked_for_as_an_absent_one() -> None:
    thin = replace(batch(), object_valid=torch.tensor([[True, False, True], [True, False, False]]))
    asked = [one for epoch in range(12) for one in questions_of(thin, OBJECTIVE, epoch=epoch) if one.image == 0]
    assert all(NAMES[one.name] != "cell" for one in asked)


def test_boxes_are_shares_of_the_sides_and_masks_of_the_size_that_is_predicted() -> None:
    wanted = wanted_of(batch(), questions_of(batch(), replace(OBJECTIVE, absent=1), epoch=0), mask_size=8)
    assert wanted.images.tolist() == [0, 0, 0, 1, 1]
    assert wanted.boxes[0].tolist() == [[2 / 16, 10 / 16, 4 / 16, 4 / 16]]
    assert wanted.boxes[1].tolist() == [[8 / 16, 4 / 16, 8 / 16, 4 / 16], [12 / 16, 14 / 16, 8 / 16, 4 / 16]]
    assert wanted.boxes[2].shape == wanted.boxes[4].shape == (0, 4)
    assert wanted.masks.sum((1, 2)).tolist() == [4, 8, 8, 16]


def test_words_are_the_recipes_or_the_names_and_a_category_without_any_is_refused() -> None:
    assert words_for(["a", "b"], {"b": " the  b "}) == ["a", "the b"]
    with pytest.raises(DataError, match=r"a category without a name \(' '\).*text.phrases=\{' ': words\}"):
        words_for(["a", " "], {})


def strips(*spans: tuple[int, int]) -> torch.Tensor:
    masks = torch.zeros(len(spans), 1, 20, dtype=torch.bool)
    for mask, (begin, end) in zip(masks, spans, strict=True):
        mask[:, begin:end] = True
    return masks


def test_answers_and_objects_without_a_partner_count_as_nothing() -> None:
    ious = found_ious(strips((0, 4), (10, 12), (18, 20)), strips((0, 8), (9, 12)))
    assert sorted(ious) == pytest.approx([0, 1 / 2, 2 / 3])
    assert found_ious(strips((0, 4)), strips((10, 14))) == [0, 0]
    assert found_ious(strips((0, 4), (5, 6)), strips()) == [0, 0]
    assert found_ious(strips(), strips((0, 4))) == [0]
    assert found_ious(strips(), strips()) == []


def test_of_all_assignments_the_one_with_the_largest_sum_counts() -> None:
    # (0, 10) fits both; taken by the first, the second would be left with nothing
    ious = found_ious(strips((0, 10), (0, 5)), strips((0, 6), (4, 12)))
    assert np.sum(ious) == pytest.approx(5 / 6 + 6 / 12)
