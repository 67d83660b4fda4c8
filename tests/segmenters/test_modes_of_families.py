"""Every way to tune, in every family: neutral before the first step, exact in what moves, merged into a stock model."""

import copy
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from small_families import OF_BLOCKS, OF_CONVOLUTIONS, SMALL, small_segmenter
from torch import Tensor, nn

from adapt.errors import RecipeError
from adapt.losses import LossWeights, object_losses
from adapt.prompts import box_prompts, point_prompts
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
from adapt.segmenters import LinearSite, freeze_boundary
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.segmenter import Segmenter
from adapt.task import reaching_all
from adapt.tuning import base_weights, choose, load_adapter, merge, save_adapter, trainable_names, trainable_table

MERGING: Mapping[str, InsertingTuning] = {
    "lora": LoraTuning(rank=2),
    "lora of all": LoraTuning(rank=2, targets=["query", "key", "value", "proj", "mlp"], dora=True, blocks=2),
    "lora of the decoder": LoraTuning(rank=2, targets=["decoder_attention"], decoder=False),
    "ia3": Ia3Tuning(blocks=2),
    "loha": LohaTuning(rank=2, blocks=2),
    "oft": OftTuning(block_size=4, blocks=2),
    "vera": VeraTuning(rank=8),
    "scale_shift": ScaleShiftTuning(),
}
INSERTING: Mapping[str, InsertingTuning] = {
    **MERGING,
    "medical_sam": AdapterTuning(width=4),
    "sam_med2d": AdapterTuning(kind="sam_med2d", width=4),
    "adaptformer": AdapterTuning(kind="adaptformer", width=4, decoder=False),
}
EVERY: Mapping[str, TuningSettings] = {
    **INSERTING,
    "decoder": DecoderTuning(prompt_encoder=True),
    "norm": NormTuning(blocks=2),
    "full": FullTuning(drop_path=0.3),
}
VALID = torch.ones(2, 1, dtype=torch.bool)


@pytest.fixture(params=OF_BLOCKS)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def tuned(family: str, settings: TuningSettings) -> Segmenter:
    torch.manual_seed(0)
    segmenter = copy.deepcopy(small_segmenter(family))
    for parameter in segmenter.parameters():
        parameter.requires_grad_(True)
    choose(segmenter, settings)
    return segmenter.eval()


def images_for(segmenter: Segmenter) -> Tensor:
    size = segmenter.spec.image_size
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def answers(segmenter: Segmenter) -> Tensor:
    prompts = box_prompts(torch.tensor([[[5.0, 8.0, 30.0, 40.0]], [[20.0, 3.0, 50.0, 22.0]]]), VALID)
    return segmenter.decode(segmenter.encode(images_for(segmenter)), prompts, multimask=True).logits


def loss(segmenter: Segmenter) -> Tensor:
    prompts = point_prompts(torch.tensor([[[20.0, 25.0]], [[30.0, 10.0]]]), VALID)
    predictions = segmenter.decode(segmenter.encode(images_for(segmenter)), prompts, multimask=True)
    targets = torch.zeros(2, 1, *predictions.logits.shape[-2:], dtype=torch.bool)
    targets[..., 3:9, 2:12] = True
    weights = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0)
    found = object_losses(
        predictions.logits, predictions.iou, targets, VALID, weights=weights, presence=predictions.presence
    )
    return reaching_all(found.total.sum(), segmenter)


def train(segmenter: Segmenter) -> None:
    """Two steps: the second moves what the first one's zeros have kept from a gradient."""
    segmenter.train()
    for module in segmenter.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # as in a run
    trains = [parameter for parameter in segmenter.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        loss(segmenter).backward()
        optimizer.step()
    segmenter.eval()


@pytest.mark.parametrize("mode", EVERY)
def test_a_mode_changes_nothing_before_the_first_step_and_then_only_what_trains(family: str, mode: str) -> None:
    check_neutral_then_exact(family, mode)


@pytest.mark.parametrize("mode", ["decoder", "full", "lora of the decoder"])
@pytest.mark.parametrize("family", OF_CONVOLUTIONS)
def test_an_encoder_of_convolutions_is_tuned_whole_or_not_at_all(family: str, mode: str) -> None:
    check_neutral_then_exact(family, mode)
    trains = [name for name in trainable_names(tuned(family, EVERY[mode])) if name.startswith("model.vision_encoder.")]
    every = [name for name, _ in small_segmenter(family).named_parameters() if name.startswith("model.vision_encoder.")]
    assert sorted(trains) == (sorted(every) if mode == "full" else [])


@pytest.mark.parametrize("family", OF_CONVOLUTIONS)
def test_what_lora_puts_into_the_decoder_alone_is_kept_and_merged(family: str, tmp_path: Path) -> None:
    check_kept(family, "lora of the decoder", tmp_path)
    check_merged(family, "lora of the decoder")


def check_neutral_then_exact(family: str, mode: str) -> None:
    untouched = small_segmenter(family)
    segmenter = tuned(family, EVERY[mode])
    assert torch.equal(answers(segmenter), answers(untouched))
    before = {name: parameter.detach().clone() for name, parameter in segmenter.named_parameters()}
    train(segmenter)
    after = dict(segmenter.named_parameters())
    trains = set(trainable_names(segmenter))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and moved <= trains
    assert [name for name in trains if after[name].grad is None] == []
    assert not torch.equal(answers(segmenter), answers(untouched))
    assert sum(count for _, count, _ in trainable_table(segmenter)) == sum(after[name].numel() for name in trains)


@pytest.mark.parametrize("mode", ["lora of all", "lora of the decoder", "vera", "sam_med2d"])
def test_what_is_kept_of_a_mode_gives_the_same_answers_when_it_is_read_again(
    family: str, mode: str, tmp_path: Path
) -> None:
    check_kept(family, mode, tmp_path)


def check_kept(family: str, mode: str, tmp_path: Path) -> None:
    segmenter = tuned(family, INSERTING[mode])
    train(segmenter)
    again = copy.deepcopy(small_segmenter(family))
    save_adapter(segmenter, tmp_path, tuning=INSERTING[mode], base=base_weights(again, "small"))
    load_adapter(again, tmp_path)
    torch.testing.assert_close(answers(again), answers(segmenter), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["lora of all", "lora of the decoder", "ia3", "scale_shift"])
def test_merged_it_is_a_stock_model_that_answers_the_same(family: str, mode: str) -> None:
    check_merged(family, mode)


def check_merged(family: str, mode: str) -> None:
    segmenter = tuned(family, MERGING[mode])
    train(segmenter)
    separate = answers(segmenter)
    merge(segmenter)
    assert [name for name, _ in segmenter.named_parameters()] == [
        name for name, _ in small_segmenter(family).named_parameters()
    ]
    torch.testing.assert_close(answers(segmenter), separate, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", ["lora", "medical_sam", "norm", "scale_shift"])
def test_late_placement_moves_the_boundary(family: str, mode: str) -> None:
    segmenter = tuned(family, EVERY[mode].model_copy(update={"blocks": 1}))
    assert freeze_boundary(segmenter.stages) == len(segmenter.blocks)
    assert len(segmenter.stages) == len(segmenter.blocks) + 2


def test_the_way_of_sam_hq_trains_its_own_layers_alone() -> None:
    segmenter = tuned("SAM-HQ", DecoderTuning(layers="hq"))
    sam = set(dict(small_segmenter("SAM").mask_decoder.named_parameters()))
    decoder = dict(segmenter.mask_decoder.named_parameters())
    expected = {f"model.mask_decoder.{name}" for name in decoder if name not in sam}
    assert set(trainable_names(segmenter)) == expected and len(expected) > 20
    train(segmenter)
    assert not torch.equal(answers(segmenter), answers(small_segmenter("SAM-HQ")))


@pytest.mark.parametrize("other", [name for name in SMALL if name != "SAM-HQ"])
def test_the_way_of_sam_hq_is_refused_elsewhere(other: str) -> None:
    with pytest.raises(RecipeError, match=f"tuning.layers hq .* this is a {other} model: set tuning.layers to all"):
        tuned(other, DecoderTuning(layers="hq"))


def test_the_object_score_learns_only_by_choice() -> None:
    for weight in (0.0, 1.0):
        segmenter = tuned("SAM 2", DecoderTuning())
        prompts = box_prompts(torch.tensor([[[5.0, 8.0, 30.0, 40.0]], [[20.0, 3.0, 50.0, 22.0]]]), VALID)
        predictions = segmenter.decode(segmenter.encode(images_for(segmenter)), prompts, multimask=False)
        assert predictions.presence is not None
        weights = LossWeights(focal=20.0, dice=1.0, iou=1.0, alpha=0.25, gamma=2.0, presence=weight)
        targets = predictions.logits[:, :, 0] > 0
        arguments = (predictions.logits, predictions.iou, targets, VALID)
        without = object_losses(*arguments, weights=weights).total
        found = object_losses(*arguments, weights=weights, presence=predictions.presence).total
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            predictions.presence, torch.ones(2, 1), reduction="none"
        )
        torch.testing.assert_close(found - without, weight * expected, rtol=1e-3, atol=1e-4)
        found.sum().backward()
        gradients = [parameter.grad for parameter in segmenter.mask_decoder.pred_obj_score_head.parameters()]
        assert all((gradient is not None and bool(gradient.any())) is (weight > 0) for gradient in gradients)


def test_a_single_mask_of_sam_2_gives_way_to_a_candidate_but_not_in_training() -> None:
    segmenter = copy.deepcopy(small_segmenter("SAM 2"))
    segmenter.mask_decoder.dynamic_multimask_stability_thresh = 2.0  # no mask is as stable as that
    prompts = box_prompts(torch.tensor([[[5.0, 8.0, 30.0, 40.0]], [[20.0, 3.0, 50.0, 22.0]]]), VALID)
    with torch.no_grad():
        features = segmenter.encode(images_for(segmenter))
        three, one = (segmenter.decode(features, prompts, multimask=multimask) for multimask in (True, False))
        best = three.iou.argmax(-1)
        for place in range(2):
            assert torch.equal(one.logits[place, 0, 0], three.logits[place, 0, best[place, 0]])
        segmenter.train()
        assert not torch.equal(segmenter.decode(features, prompts, multimask=False).logits, one.logits)


class _WithoutBlocks(Segmenter):
    """As if its encoder were built of convolutions."""

    @property
    def blocks(self) -> tuple[()]:
        return ()

    @property
    def linears(self) -> list[LinearSite]:
        return [site for site in super().linears if site.stage is None]


@pytest.mark.parametrize("mode", ["lora", "ia3", "medical_sam", "scale_shift", "norm"])
def test_an_encoder_without_blocks_refuses_what_acts_on_them(mode: str) -> None:
    segmenter = _WithoutBlocks(copy.deepcopy(small_segmenter("SAM").model), BY_NAME["SAM"])
    with pytest.raises(
        RecipeError, match=r"no blocks that this mode could act on; set tuning\.mode to decoder or full"
    ):
        choose(segmenter, EVERY[mode])


@pytest.mark.parametrize("mode", ["decoder", "full", "lora of the decoder"])
def test_an_encoder_without_blocks_is_tuned_in_other_ways(mode: str) -> None:
    segmenter = _WithoutBlocks(copy.deepcopy(small_segmenter("SAM").model), BY_NAME["SAM"])
    choose(segmenter, EVERY[mode])
    assert all(("mask_decoder" in name) or mode != "lora of the decoder" for name in trainable_names(segmenter))
