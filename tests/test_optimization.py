"""The plan of the optimiser: which parameter at which rate, and what the rate does."""

import itertools

import pytest
import torch
from torch import nn

from adapt.optimization import OptimizationPlan, PartRates, parameter_groups, rate_range, stage_rates
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import tune_decoder, tune_fully


def plan(
    *,
    schedule: str = "cosine",
    warmup_steps: int = 4,
    total_steps: int = 20,
    milestones: tuple[float, ...] = (),
    decayed: str = "all",
    rates: PartRates | None = None,
    layer_decay: float = 1.0,
) -> OptimizationPlan:
    return OptimizationPlan(
        learning_rate=1e-3,
        weight_decay=0.1,
        warmup_steps=warmup_steps,
        schedule=schedule,  # type: ignore[arg-type]
        total_steps=total_steps,
        milestones=milestones,
        milestone_factor=0.1,
        decayed=decayed,  # type: ignore[arg-type]
        rates=rates or PartRates(),
        layer_decay=layer_decay,
    )


@pytest.fixture(scope="module")
def whole() -> PromptableSegmenter:
    """Everything trains."""
    segmenter = load_segmenter("adapt:tiny")
    tune_fully(segmenter, drop_path=0.0)
    return segmenter


def rate_of(groups: list[dict[str, object]], parameter: nn.Parameter, key: str = "lr") -> float:
    (found,) = [group[key] for group in groups if any(parameter is other for other in group["params"])]  # type: ignore[attr-defined]
    return found  # type: ignore[return-value]


def test_warm_up_rises_linearly_and_the_cosine_ends_at_zero() -> None:
    schedule = plan()
    factors = [schedule.factor(step) for step in range(21)]
    assert factors[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert factors[4] == 1.0
    assert factors[12] == pytest.approx(0.5)
    assert factors[20] == pytest.approx(0.0, abs=1e-12)
    assert all(later <= earlier for earlier, later in itertools.pairwise(factors[4:]))


def test_a_constant_schedule_stays_and_a_short_run_still_warms_up() -> None:
    assert plan(schedule="constant").factor(19) == 1.0
    assert plan(warmup_steps=1000, total_steps=10).factor(5) == 1.0


def test_the_step_schedule_falls_where_segment_anything_does() -> None:
    schedule = plan(schedule="step", warmup_steps=250, total_steps=90_000, milestones=(2 / 3, 26 / 27))
    assert [schedule.factor(step) for step in (250, 59_999)] == [1.0, 1.0]
    assert [schedule.factor(step) for step in (60_000, 86_666)] == pytest.approx([0.1, 0.1])
    assert [schedule.factor(step) for step in (86_667, 89_999)] == pytest.approx([0.01, 0.01])


def test_steps_and_warm_up_follow_the_optimiser_through_a_run() -> None:
    schedule = plan(schedule="step", warmup_steps=1, total_steps=6, milestones=(0.5,))
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=1e-3)
    follower = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.factor)
    seen = []
    for _ in range(6):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        follower.step()
    assert seen == pytest.approx([5e-4, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4])


def test_each_stage_has_the_decayed_rate_of_the_next() -> None:
    assert stage_rates(4, layer_decay=0.5) == [0.125, 0.25, 0.5, 1.0]


def test_layer_decay_gives_every_parameter_of_a_stage_its_rate(whole: PromptableSegmenter) -> None:
    groups = parameter_groups(whole, plan(layer_decay=0.8))
    stages = whole.stages
    for place, stage in enumerate(stages):
        for parameter in stage.parameters:
            assert rate_of(groups, parameter) == pytest.approx(1e-3 * 0.8 ** (len(stages) - 1 - place))
    # as ViTDet and Segment Anything count: 7 blocks, so the patch embedding has 0.8^8 and the last block 0.8
    assert rate_of(groups, whole.encoder.pos_embed) == pytest.approx(1e-3 * 0.8**8)  # type: ignore[arg-type]
    assert all(rate_of(groups, parameter) == 1e-3 for parameter in whole.mask_decoder.parameters())


def test_what_is_put_into_a_block_has_the_rate_of_the_block() -> None:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    segmenter.stages[4].modules[0].extra = nn.Linear(2, 2)
    groups = parameter_groups(segmenter, plan(layer_decay=0.5, rates=PartRates(image_encoder=0.1)))
    weight = segmenter.stages[4].modules[0].extra.weight
    assert rate_of(groups, weight) == pytest.approx(1e-3 * 0.1 * 0.5 ** (len(segmenter.stages) - 1 - 4))


def test_parts_have_their_own_rates(whole: PromptableSegmenter) -> None:
    groups = parameter_groups(whole, plan(rates=PartRates(image_encoder=0.1, prompt_encoder=0.5, mask_decoder=2.0)))
    assert {rate_of(groups, parameter) for parameter in whole.encoder.parameters()} == {1e-4}
    assert {rate_of(groups, p) for p in whole.prompt_encoder.parameters() if p.requires_grad} == {5e-4}
    assert {rate_of(groups, parameter) for parameter in whole.mask_decoder.parameters()} == {2e-3}
    assert rate_range(groups) == "0.0001 to 0.002"


@pytest.mark.parametrize("layer_decay", [1.0, 0.8])
def test_every_parameter_that_trains_is_in_one_group_and_no_other(
    whole: PromptableSegmenter, layer_decay: float
) -> None:
    groups = parameter_groups(whole, plan(layer_decay=layer_decay, decayed="matrices"))
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(p) for _, p in whole.named_parameters() if p.requires_grad)


def test_weight_decay_leaves_out_biases_and_norms_if_asked(whole: PromptableSegmenter) -> None:
    everything = parameter_groups(whole, plan())
    matrices = parameter_groups(whole, plan(decayed="matrices"))
    for name, parameter in whole.named_parameters():
        if parameter.requires_grad:
            spared = name.endswith(".bias") or "norm" in name
            assert rate_of(everything, parameter, "weight_decay") == 0.1
            assert rate_of(matrices, parameter, "weight_decay") == (0.0 if spared else 0.1), name
