"""Assignment and loss of a detector: against transformers' own of Deformable DETR, and against cases done by hand."""

import math

import pytest
import torch
from torch.nn import functional
from transformers.loss.loss_deformable_detr import DeformableDetrHungarianMatcher
from transformers.loss.loss_for_object_detection import ImageLoss, generalized_box_iou

from adapt.concepts import Assigned, ConceptWeights, MatchCosts, Wanted, assign, concept_losses
from adapt.concepts.losses import score_loss
from adapt.concepts.matching import box_ious, centred, corners, pair_costs
from adapt.segmenters import ConceptAnswers

COSTS = MatchCosts(score=2, box=5, giou=2)
WEIGHTS = ConceptWeights(score=20, positive=10, presence=10, box=5, giou=2, focal=200, dice=10, costs=COSTS)


def boxes(*shape: int, seed: int = 0) -> torch.Tensor:
    """Centre and sides, inside of the image."""
    random = torch.rand(*shape, 4, generator=torch.Generator().manual_seed(seed))
    return torch.cat((0.3 + 0.4 * random[..., :2], 0.05 + 0.4 * random[..., 2:]), dim=-1)


def answers(questions: int, *, layers: int = 1, queries: int = 7, side: int = 8, seed: int = 0) -> ConceptAnswers:
    generator = torch.Generator().manual_seed(seed)
    return ConceptAnswers(
        logits=2 * torch.randn(layers, questions, queries, generator=generator),
        presence=torch.randn(layers, questions, generator=generator),
        boxes=boxes(layers, questions, queries, seed=seed),
        masks=3 * torch.randn(questions, queries, side, side, generator=generator),
    )


def wanted(images: tuple[int, ...], objects: tuple[int, ...], *, side: int = 8, seed: int = 1) -> Wanted:
    generator = torch.Generator().manual_seed(seed)
    return Wanted(
        images=torch.tensor(images),
        boxes=[boxes(count, seed=seed + place) for place, count in enumerate(objects)],
        masks=torch.rand(sum(objects), side, side, generator=generator) > 0.6,
    )


def test_boxes_come_back_from_their_corners() -> None:
    torch.testing.assert_close(centred(corners(boxes(9))), boxes(9))


def test_generalised_iou_is_that_of_transformers_and_0_of_boxes_without_an_area() -> None:
    ours, theirs = corners(boxes(9)), corners(boxes(4, seed=1))
    _, found = box_ious(ours[:, None], theirs[None])
    torch.testing.assert_close(found, generalized_box_iou(ours, theirs))
    apart = box_ious(torch.tensor([0.0, 0.0, 0.1, 0.1]), torch.tensor([0.9, 0.9, 1.0, 1.0]))
    assert [float(value) for value in apart] == pytest.approx([0.0, 0.02 - 1.0])
    assert all(torch.isfinite(value) for value in box_ious(torch.zeros(4), torch.zeros(4)))


@pytest.mark.parametrize("seed", range(5))
def test_queries_are_matched_as_transformers_matches_them(seed: int) -> None:
    given, true = answers(3, seed=seed), [boxes(count, seed=10 + seed + count) for count in (2, 0, 9)]
    found = assign(given.logits[0], given.boxes[0], true, COSTS)
    matcher = DeformableDetrHungarianMatcher(class_cost=2, bbox_cost=5, giou_cost=2)
    targets = [{"class_labels": torch.zeros(len(own), dtype=torch.int64), "boxes": own} for own in true]
    expected = matcher({"logits": given.logits[0][..., None], "pred_boxes": given.boxes[0]}, targets)
    rows = [
        (question, int(query), before + int(place))
        for question, (before, (queries, places)) in enumerate(zip((0, 2, 2), expected, strict=True))
        for query, place in zip(queries, places, strict=True)
    ]
    assert sorted(zip(*(values.tolist() for values in vars(found).values()), strict=True)) == sorted(rows)
    assert len(rows) == 2 + 0 + 7  # of nine objects and seven queries, as many as there are queries


def test_the_cheapest_assignment_is_taken_and_not_the_best_pair_first() -> None:
    # query 0 fits both objects, query 1 the first alone: by hand, greedy would leave the second object to query 1
    true = torch.tensor([[0.3, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]])
    queries = torch.tensor([[[0.35, 0.5, 0.2, 0.2], [0.2, 0.5, 0.2, 0.2]]])
    found = assign(torch.zeros(1, 2), queries, [true], COSTS)
    assert dict(zip(found.queries.tolist(), found.objects.tolist(), strict=True)) == {0: 1, 1: 0}
    table = pair_costs(torch.zeros(2), queries[0], true, COSTS)
    assert table.argmin() == 0
    cost_by_hand = 2 * (0.25 - 0.75) * 0.25 * math.log(2) + 5 * 0.05 - 2 * (0.15 * 0.2 / (2 * 0.04 - 0.15 * 0.2))
    assert float(table[0, 0]) == pytest.approx(cost_by_hand, abs=1e-6)


def test_what_is_no_number_is_matched_last() -> None:
    given, true = answers(1), [boxes(3)]
    broken = given.boxes[0].clone()
    broken[0, 2] = math.nan
    assert 2 not in assign(given.logits[0], broken, true, COSTS).queries.tolist()


def test_boxes_and_masks_cost_what_transformers_says() -> None:
    given, true = answers(2), wanted((0, 0), (3, 2))
    found = concept_losses(given, true, WEIGHTS, images=1)
    matched = assign(given.logits[0], given.boxes[0], true.boxes, COSTS)
    indices = [
        (matched.queries[matched.questions == place], matched.objects[matched.questions == place] - before)
        for place, before in ((0, 0), (1, 3))
    ]
    reference = ImageLoss(matcher=None, num_classes=1, eos_coef=0.1, losses=[])
    outputs = {"pred_boxes": given.boxes[0], "pred_masks": given.masks}
    targets = [
        {"boxes": own, "masks": masks.float()} for own, masks in zip(true.boxes, true.masks.split([3, 2]), strict=True)
    ]
    of_boxes = reference.loss_boxes(outputs, targets, indices, num_boxes=5)
    of_masks = reference.loss_masks(outputs, targets, indices, num_boxes=5)
    expected = [of_boxes["loss_bbox"], of_boxes["loss_giou"], of_masks["loss_mask"], of_masks["loss_dice"]]
    for ours, theirs in zip((found.box, found.giou, found.focal, found.dice), expected, strict=True):
        torch.testing.assert_close(ours[0], theirs)


def test_scores_learn_what_is_worked_out_by_hand() -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]])
    found = Assigned(torch.tensor([0]), torch.tensor([1]), torch.tensor([0]))
    losses = score_loss(logits, found, torch.tensor([0.5]), positive=10)[0].tolist()
    share = {value: 1 / (1 + math.exp(-value)) for value in (0.0, 1.0, -1.0)}
    target = share[1.0] ** 0.25 * 0.5**0.75
    of_object = -10 * (target * math.log(share[1.0]) + (1 - target) * math.log(1 - share[1.0]))
    others = [-(share[value] ** 2) * math.log(1 - share[value]) for value in (0.0, -1.0)]
    assert losses == pytest.approx([others[0], of_object, others[1]], rel=1e-5)


def test_an_absent_concept_teaches_presence_alone() -> None:
    given, true = answers(1), wanted((0,), (0,))
    found = concept_losses(given, true, WEIGHTS, images=1)
    expected = functional.softplus(given.presence[0])
    torch.testing.assert_close(found.presence, expected)
    torch.testing.assert_close(found.total, 10 * expected)
    assert float(found.score) == float(found.box) == float(found.focal) == float(found.dice) == 0.0


def test_layers_add_up_but_for_masks_which_the_last_one_makes() -> None:
    two, true = answers(2, layers=2), wanted((0, 1), (2, 3))
    apart = [
        ConceptAnswers(two.logits[place, None], two.presence[place, None], two.boxes[place, None], two.masks)
        for place in range(2)
    ]
    both = concept_losses(two, true, WEIGHTS, images=2)
    first, last = (concept_losses(one, true, WEIGHTS, images=2) for one in apart)
    for name in ("score", "presence", "box", "giou"):
        torch.testing.assert_close(getattr(both, name), getattr(first, name) + getattr(last, name))
    torch.testing.assert_close(both.focal, last.focal)
    torch.testing.assert_close(both.dice, last.dice)


def test_images_of_a_batch_cost_what_they_cost_alone() -> None:
    given, true = answers(3, layers=2), wanted((0, 1, 1), (2, 0, 3))
    together = concept_losses(given, true, WEIGHTS, images=2)
    of_second = ConceptAnswers(given.logits[:, 1:], given.presence[:, 1:], given.boxes[:, 1:], given.masks[1:])
    alone = concept_losses(of_second, Wanted(torch.tensor([0, 0]), true.boxes[1:], true.masks[2:]), WEIGHTS, images=1)
    for name, values in together.logged().items():
        torch.testing.assert_close(values[1:], alone.logged()[name])


def test_steps_down_the_loss_find_the_objects() -> None:
    true = wanted((0,), (2,))
    given = answers(1)
    parts = [part.clone().requires_grad_() for part in (given.logits, given.presence, given.boxes.logit(), given.masks)]
    optimizer = torch.optim.Adam(parts, lr=0.1)
    for _ in range(150):
        logits, presence, offsets, masks = parts
        found = concept_losses(ConceptAnswers(logits, presence, offsets.sigmoid(), masks), true, WEIGHTS, images=1)
        optimizer.zero_grad()
        found.total.sum().backward()
        optimizer.step()
    logits, presence, offsets, masks = (part.detach() for part in parts)
    best = logits[0, 0].argsort(descending=True)[:2]
    near = (offsets.sigmoid()[0, 0, best][:, None] - true.boxes[0][None]).abs().sum(-1).min(1).values
    assert (near < 0.05).all() and presence.item() > 2 and logits[0, 0, best].min() > 0.5 > logits[0, 0].median()
    assert float(found.iou) == 1.0
