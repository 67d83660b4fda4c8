"""What holds in every mode: nothing changes before the first step, only what trains moves, what is saved comes back."""

import copy
import functools
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from adapt.losses import LossWeights, object_losses
from adapt.prompts import Prompts, box_prompts, point_prompts
from adapt.recipe import (
    AdapterTuning,
    DecoderTuning,
    FullTuning,
    Ia3Tuning,
    InsertingTuning,
    LohaTuning,
    LoraTuning,
    NormTuning,
    OftTuning,
    ScaleShiftTuning,
    TuningSettings,
    VeraTuning,
)
from adapt.segmenters import PromptableSegmenter, freeze_boundary, load_segmenter
from adapt.task import reaching_all
from adapt.tuning import (
    base_weights,
    choose,
    has_inserted,
    load_adapter,
    merge,
    save_adapter,
    trainable_names,
    trainable_table,
)

MERGING: Mapping[str, InsertingTuning] = {
    "lora": LoraTuning(rank=4),
    "lora of one part": LoraTuning(targets=["value"], alpha=2.0, blocks=2),
    "lora of parts": LoraTuning(targets=["query", "value", "proj", "mlp"], rslora=True, blocks="half"),
    "lora of all": LoraTuning(targets=["query", "key", "value"], rank=2, decoder=False),
    "dora": LoraTuning(dora=True, rank=4, blocks=3),
    "lora of the decoder": LoraTuning(targets=["decoder_attention"], decoder=False),
    "ia3": Ia3Tuning(blocks=3),
    "loha": LohaTuning(rank=4, blocks=3),
    "oft": OftTuning(block_size=16, blocks=3),
    "vera": VeraTuning(rank=16, blocks=3),
    "scale_shift": ScaleShiftTuning(blocks=3),
}
NETWORKS: Mapping[str, InsertingTuning] = {
    "medical_sam": AdapterTuning(width=8, blocks=3),
    "sam_med2d": AdapterTuning(kind="sam_med2d", width=8, blocks=2),
    "adaptformer": AdapterTuning(kind="adaptformer", width=8, decoder=False),
}
IN_PLACE: Mapping[str, TuningSettings] = {
    "decoder": DecoderTuning(),
    "decoder and prompts": DecoderTuning(prompt_encoder=True),
    "norm": NormTuning(blocks=3),
    "full": FullTuning(),
    "full with drop path": FullTuning(drop_path=0.3),
}
INSERTING = {**MERGING, **NETWORKS}
EVERY = {**INSERTING, **IN_PLACE}

VALID = torch.ones(1, 1, dtype=torch.bool)
CLICK = point_prompts(torch.tensor([[[30.0, 35.0]]]), VALID)
BOX = box_prompts(torch.tensor([[[20.0, 20.0, 80.0, 80.0]]]), VALID)


@functools.cache
def _tiny() -> PromptableSegmenter:
    """Small inputs, since there are many modes."""
    return load_segmenter("adapt:tiny").at_input_size(128)


def untouched() -> PromptableSegmenter:
    return copy.deepcopy(_tiny())


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def tuned(settings: TuningSettings) -> PromptableSegmenter:
    torch.manual_seed(0)
    segmenter = untouched()
    choose(segmenter, settings)
    return segmenter


@torch.no_grad()
def answers(segmenter: PromptableSegmenter, images: Tensor) -> tuple[Tensor, Tensor]:
    predictions = segmenter.decode(segmenter.encode(images), CLICK, multimask=True)
    return predictions.logits, predictions.iou


def loss(segmenter: PromptableSegmenter, images: Tensor, prompts: Prompts) -> Tensor:
    predictions = segmenter.decode(segmenter.encode(images), prompts, multimask=True)
    targets = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    targets[..., 5:20, 5:20] = True
    weights = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0)
    return object_losses(predictions.logits, predictions.iou, targets, VALID, weights=weights).total.sum()


def train(segmenter: PromptableSegmenter, images: Tensor, *, steps: int = 2) -> None:
    """The second step moves what the first one's zeros have kept from a gradient."""
    trains = [parameter for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, lr=1e-2, weight_decay=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(segmenter, images, BOX).backward()
        optimizer.step()


def equal(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("mode", [mode for mode in EVERY if mode != "full with drop path"])
def test_before_the_first_step_the_model_answers_as_the_untouched_one_to_the_bit(
    mode: str, training: bool, images: Tensor
) -> None:
    segmenter = tuned(EVERY[mode])
    assert isinstance(segmenter, nn.Module)
    segmenter.train(training)
    assert equal(answers(segmenter, images), answers(untouched(), images))


@pytest.mark.parametrize("mode", EVERY)
def test_a_step_moves_what_trains_and_leaves_what_is_frozen_bit_identical(mode: str, images: Tensor) -> None:
    segmenter = tuned(EVERY[mode])
    before = {name: parameter.detach().clone() for name, parameter in segmenter.named_parameters()}
    train(segmenter, images)
    after = dict(segmenter.named_parameters())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved <= set(trainable_names(segmenter))
    assert not equal(answers(segmenter, images), answers(untouched(), images))
    if has_inserted(segmenter):
        inserted = {name for name in trainable_names(segmenter) if "mask_decoder" not in name}
        assert inserted <= moved


@pytest.mark.parametrize("prompts", [CLICK, BOX], ids=["click", "box"])
@pytest.mark.parametrize("mode", EVERY)
def test_every_parameter_that_trains_gets_a_gradient_whatever_is_prompted(
    mode: str, prompts: Prompts, images: Tensor
) -> None:
    """Else training on several devices would wait for it."""
    segmenter = tuned(EVERY[mode])
    reaching_all(loss(segmenter, images, prompts), segmenter).backward()
    parameters = dict(segmenter.named_parameters())
    assert [name for name in trainable_names(segmenter) if parameters[name].grad is None] == []


@pytest.mark.parametrize("mode", EVERY)
def test_the_table_counts_what_trains_and_shows_what_was_inserted(mode: str) -> None:
    segmenter = tuned(EVERY[mode])
    stock = {name: total for name, _, total in trainable_table(untouched())}
    table = trainable_table(segmenter)
    assert sum(count for _, count, _ in table) == sum(
        parameter.numel() for _, parameter in segmenter.named_parameters() if parameter.requires_grad
    )
    assert {name: total for name, _, total in table if not name.startswith("inserted")} == stock
    inserted = [(count, total) for name, count, total in table if name.startswith("inserted in ")]
    assert bool(inserted) == (mode in INSERTING)
    assert all(count == total > 0 for count, total in inserted)


@pytest.mark.parametrize("mode", INSERTING)
def test_what_is_saved_gives_the_same_answers_to_the_bit_when_read_again(
    mode: str, images: Tensor, tmp_path: Path
) -> None:
    segmenter = tuned(INSERTING[mode])
    train(segmenter, images)
    base = base_weights(untouched(), "adapt:tiny")
    save_adapter(segmenter, tmp_path, tuning=INSERTING[mode], base=base)
    again = untouched()
    load_adapter(again, tmp_path)
    assert equal(answers(again, images), answers(segmenter, images))


@pytest.mark.parametrize("mode", MERGING)
def test_merged_it_is_a_stock_model_that_answers_the_same(mode: str, images: Tensor) -> None:
    segmenter = tuned(MERGING[mode])
    train(segmenter, images)
    separate = answers(segmenter, images)
    merge(segmenter)
    stock = untouched()
    assert [name for name, _ in segmenter.named_parameters()] == [name for name, _ in stock.named_parameters()]
    for one, other in zip(answers(segmenter, images), separate, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", INSERTING)
def test_a_copy_has_its_own_parts(mode: str, images: Tensor) -> None:
    segmenter = tuned(INSERTING[mode])
    twin = copy.deepcopy(segmenter)
    train(segmenter, images, steps=1)
    assert equal(answers(twin, images), answers(untouched(), images))


@pytest.mark.parametrize("blocks", [1, 3, "half", "all"])
@pytest.mark.parametrize(
    "mode", ["lora", "ia3", "loha", "oft", "vera", "scale_shift", "medical_sam", "sam_med2d", "adaptformer", "norm"]
)
def test_what_lies_in_front_of_the_chosen_blocks_is_in_front_of_the_boundary(mode: str, blocks: int | str) -> None:
    segmenter = tuned(EVERY[mode].model_copy(update={"blocks": blocks}))
    count = {"half": 3, "all": 7}.get(str(blocks), blocks)
    boundary = freeze_boundary(segmenter.stages)
    assert boundary == 1 + 7 - int(count)
    stock = untouched()
    in_front = [[name for name, _ in stage.modules[0].named_parameters()] for stage in segmenter.stages[:boundary]]
    assert in_front == [[name for name, _ in stage.modules[0].named_parameters()] for stage in stock.stages[:boundary]]
