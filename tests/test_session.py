"""The interactive session: what is prompted in each round, what is fed back, and what the rounds cost."""

from dataclasses import replace

import pytest
import torch
from test_task import PLAIN, SINGLE, losses_with_graph, make_batch
from torch import nn

from adapt.losses import mean_over_objects
from adapt.prompts import LARGEST_LOGIT, PADDING, Prompts, Session, idle_rounds
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, MaskPredictions, PromptableSegmenter, load_segmenter, random_segmenter
from adapt.session import answer_in_model_frame
from adapt.tuning import tune_decoder

SAM = Session(corrections=8, clicks_per_round=1, idle_rounds=2, truth_click_chance=0.0, mask_prompts=True)
SHORT = replace(SAM, corrections=2)


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    return segmenter


class Recorder:
    """A segmenter that notes what it is asked, and answers the same whatever that is."""

    def __init__(self, tiny: PromptableSegmenter) -> None:
        self.spec = tiny.spec
        self.calls: list[tuple[Prompts, bool]] = []
        self.bias = nn.Parameter(torch.zeros(()))

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        self.calls.append((prompts, multimask))
        images, objects = prompts.object_valid.shape
        candidates, size = 3 if multimask else 1, self.spec.mask_size
        logits = torch.full((images, objects, candidates, size, size), -100.0) + self.bias
        logits[:, :, -1, :, : size // 2] = 100.0
        return MaskPredictions(logits=logits, iou=torch.arange(candidates).float().expand(images, objects, -1))


def record(tiny: PromptableSegmenter, session: Session, box_chance: float) -> tuple[list[tuple[Prompts, bool]], Batch]:
    recorder, batch = Recorder(tiny), make_batch()
    with torch.no_grad():
        losses_with_graph(
            recorder,  # type: ignore[arg-type]
            batch,
            box_chance=box_chance,
            session=session,
            features=ImageFeatures(torch.zeros(3, 1, 1, 1)),
        )
    return recorder.calls, batch


def test_clicks_first_three_candidates_once_then_one_more_click_a_round_but_in_idle_ones(
    tiny: PromptableSegmenter,
) -> None:
    calls, _ = record(tiny, SAM, box_chance=0.0)
    idle = idle_rounds(SAM, seed=0, epoch=0, step=0)
    assert [multimask for _, multimask in calls] == [True] + [False] * 10
    counts = [prompts.points.shape[2] for prompts, _ in calls if prompts.points is not None]
    expected = [1]
    for turn in range(1, 11):
        expected.append(expected[-1] + (turn not in idle))
    assert counts == expected and counts[-1] == 9
    assert all(prompts.boxes is None for prompts, _ in calls)


def test_a_box_first_stays_and_never_gets_three_candidates(tiny: PromptableSegmenter) -> None:
    calls, _ = record(tiny, SAM, box_chance=1.0)
    assert not any(multimask for _, multimask in calls)
    first = calls[0][0]
    assert first.points is None
    assert all(torch.equal(prompts.boxes, first.boxes) for prompts, _ in calls)
    last = calls[-1][0]
    assert last.points is not None and last.points.shape[2] == 8


def test_the_most_confident_answer_is_fed_back_bounded_and_clicked_on(tiny: PromptableSegmenter) -> None:
    calls, batch = record(tiny, SHORT, box_chance=0.0)
    fed = calls[1][0].masks
    assert fed is not None
    half = fed.shape[-1] // 2
    assert fed[..., :half].eq(LARGEST_LOGIT).all() and fed[..., half:].eq(-LARGEST_LOGIT).all()
    last = calls[-1][0]
    assert last.points is not None and last.point_labels is not None
    left = torch.zeros(256, 256, dtype=torch.bool)
    left[:, :128] = True
    for image, index in batch.object_valid.nonzero().tolist():
        for (x, y), label in zip(
            last.points[image, index, 1:].long().tolist(), last.point_labels[image, index, 1:].tolist(), strict=True
        ):
            inside = bool(batch.masks[image, index, y, x])
            assert inside != bool(left[y, x]), "a click lies where answer and truth differ"
            assert label == int(inside)
    assert PADDING not in last.point_labels[batch.object_valid].tolist()


def test_without_mask_prompts_nothing_is_fed_back(tiny: PromptableSegmenter) -> None:
    calls, _ = record(tiny, replace(SHORT, mask_prompts=False, idle_rounds=0), box_chance=0.0)
    assert all(prompts.masks is None for prompts, _ in calls)


def test_the_loss_is_the_mean_over_rounds(tiny: PromptableSegmenter) -> None:
    # the same answer in each round of box prompts: the mean is the loss of one round
    recorder, batch = Recorder(tiny), make_batch()
    features = ImageFeatures(torch.zeros(3, 1, 1, 1))

    def total(session: Session) -> torch.Tensor:
        losses, valid = losses_with_graph(recorder, batch, box_chance=1.0, session=session, features=features)  # type: ignore[arg-type]
        return mean_over_objects(losses.total, valid)

    torch.testing.assert_close(total(SAM), total(SINGLE))


def gradients(tiny: PromptableSegmenter, session: Session) -> list[torch.Tensor]:
    for parameter in tiny.mask_decoder.parameters():
        parameter.grad = None
    with torch.no_grad():
        features = tiny.encode(make_batch().images)
    losses, valid = losses_with_graph(tiny, make_batch(), session=session, features=features)
    mean_over_objects(losses.total, valid).backward()
    return [p.grad.clone() for p in tiny.mask_decoder.parameters() if p.grad is not None]


def test_recomputed_rounds_give_the_gradients_of_kept_ones(
    tiny: PromptableSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    recomputed = gradients(tiny, SHORT)
    monkeypatch.setattr("adapt.session.checkpoint", lambda function, *given, **_: function(*given))
    kept = gradients(tiny, SHORT)
    assert len(kept) == len(recomputed) > 50
    for one, other in zip(recomputed, kept, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_rounds_change_what_is_learnt(tiny: PromptableSegmenter) -> None:
    single, session = gradients(tiny, SINGLE), gradients(tiny, SHORT)
    assert any(not torch.allclose(one, other) for one, other in zip(single, session, strict=True))


@pytest.mark.parametrize("at", ["mask", "image", "points"])
def test_the_loss_can_be_taken_at_mask_size_image_size_or_points(at: str) -> None:
    objective, untrained = replace(PLAIN, at=at, points=4096), random_segmenter("adapt:tiny", seed=0)
    with torch.no_grad():
        losses, valid = losses_with_graph(untrained, make_batch(), objective=objective)
        plain, _ = losses_with_graph(untrained, make_batch())
    assert (losses.total[valid] > 0).all()
    torch.testing.assert_close(losses.iou[valid], plain.iou[valid], atol=0.05, rtol=0.05)
    # smooth logits of an untrained decoder: dice hardly depends on where it is taken, unless pixels do not match
    if at == "image":
        torch.testing.assert_close(losses.dice[valid], plain.dice[valid], atol=0.02, rtol=0.02)


def test_no_click_falls_into_the_padding() -> None:
    logits = torch.ones(1, 1, 8, 8)
    seen = answer_in_model_frame(logits, torch.tensor([[32.0, 20.0]]), size=32)
    assert seen[0, 0, :20].all() and not seen[0, 0, 20:].any()


def test_a_session_in_bfloat16_feeds_its_masks_back(tiny: PromptableSegmenter) -> None:
    batch = make_batch()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        losses, _ = losses_with_graph(tiny, batch, session=SHORT)
    assert torch.isfinite(losses.total).all()
    # a click on an error falls elsewhere where rounding has turned a pixel; one on the truth does not
    session = replace(SHORT, truth_click_chance=1.0)
    with torch.no_grad():
        expected, valid = losses_with_graph(tiny, batch, session=session)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses, _ = losses_with_graph(tiny, batch, session=session)
    both = [mean_over_objects(each.total, valid).item() for each in (losses, expected)]
    assert both[0] == pytest.approx(both[1], rel=0.02)


def test_objects_weigh_in_the_loss_what_their_batch_says(tiny: PromptableSegmenter) -> None:
    batch = make_batch()
    features = ImageFeatures(torch.zeros(3, 1, 1, 1))

    def totals(batch: Batch) -> torch.Tensor:
        losses, weighed = losses_with_graph(
            Recorder(tiny),  # type: ignore[arg-type]
            batch,
            box_chance=1.0,
            session=SHORT,
            features=features,
        )
        return losses.total.detach()[weighed]

    weights = torch.rand(batch.object_valid.shape, generator=torch.Generator().manual_seed(0))
    plain, weighted = totals(batch), totals(replace(batch, weights=weights))
    assert torch.equal(totals(replace(batch, weights=torch.ones_like(weights))), plain)
    assert torch.allclose(weighted, plain * weights[batch.object_valid])
