"""LoRA: exactly which parameters train, the parts of a fused layer, and what is refused."""

import math
import sys

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from adapt.errors import RecipeError
from adapt.recipe import LoraTuning
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import choose, trainable_names
from adapt.tuning.parts import PartsUp


def tuned(settings: LoraTuning) -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, settings)
    return segmenter


def test_query_and_value_of_the_last_blocks_train_and_nothing_else() -> None:
    segmenter = tuned(LoraTuning(rank=4, blocks=2, decoder=False))
    assert trainable_names(segmenter) == [
        f"model.vision_encoder.layers.{block}.attn.qkv.lora_{part}"
        for block in (5, 6)
        for part in ("A.default.weight", "B.default.query", "B.default.value")
    ]
    shapes = {name: tuple(parameter.shape) for name, parameter in segmenter.named_parameters()}
    prefix = "model.vision_encoder.layers.5.attn.qkv.lora_"
    assert shapes[f"{prefix}A.default.weight"] == (8, 192)
    assert shapes[f"{prefix}B.default.query"] == shapes[f"{prefix}B.default.value"] == (192, 4)


def test_other_layers_have_a_lora_each() -> None:
    segmenter = tuned(LoraTuning(targets=["proj", "mlp"], blocks=1, decoder=False))
    assert trainable_names(segmenter) == [
        f"model.vision_encoder.layers.6.{layer}.lora_{part}.default.weight"
        for layer in ("attn.proj", "mlp.lin1", "mlp.lin2")
        for part in "AB"
    ]


def test_the_decoder_s_attention_is_adapted_while_the_decoder_is_frozen() -> None:
    segmenter = tuned(LoraTuning(targets=["decoder_attention"], decoder=False))
    names = trainable_names(segmenter)
    assert len(names) == 7 * 4 * 2  # attentions, projections, A and B
    assert all(name.startswith("model.mask_decoder.transformer.") and ".lora_" in name for name in names)


def test_with_dora_the_magnitudes_of_the_named_parts_train() -> None:
    segmenter = tuned(LoraTuning(targets=["value"], dora=True, blocks=1, decoder=False))
    assert (
        trainable_names(segmenter)[-1] == "model.vision_encoder.layers.6.attn.qkv.lora_magnitude_vector.default.value"
    )
    assert len(trainable_names(segmenter)) == 3


@pytest.mark.parametrize("rslora", [False, True])
def test_parts_of_a_fused_layer_are_what_a_lora_of_each_alone_would_be(rslora: bool) -> None:
    """The reference has query, key and value as layers of their own, adapted by peft with the same weights."""
    segmenter = tuned(LoraTuning(rank=4, alpha=6.0, rslora=rslora, blocks=1, decoder=False))
    fused = segmenter.model.get_submodule("vision_encoder.layers.6.attn.qkv")
    separate = nn.ModuleDict({role: nn.Linear(192, 192) for role in ("query", "key", "value")})
    stock = fused.base_layer
    with torch.no_grad():
        for place, layer in enumerate(separate.values()):
            layer.weight.copy_(stock.weight[192 * place : 192 * (place + 1)])
            layer.bias.copy_(stock.bias[192 * place : 192 * (place + 1)])
        config = LoraConfig(r=4, lora_alpha=6, use_rslora=rslora, target_modules=["query", "value"])
        inject_adapter_in_model(config, separate)
        for place, role in enumerate(("query", "value")):
            up = torch.randn(192, 4)
            fused.lora_B["default"].get_parameter(role).copy_(up)
            separate[role].lora_B["default"].weight.copy_(up)
            separate[role].lora_A["default"].weight.copy_(fused.lora_A["default"].weight[4 * place : 4 * (place + 1)])
        hidden = torch.randn(2, 3, 192)
        expected = torch.cat([layer(hidden) for layer in separate.values()], dim=-1)
        torch.testing.assert_close(fused(hidden), expected, atol=1e-4, rtol=1e-4)
        scale = 6 / (math.sqrt(4) if rslora else 4)
        assert fused.scaling["default"] == pytest.approx(scale)


def test_a_part_s_weight_begins_as_that_of_the_layer_it_stands_for() -> None:
    weight = torch.zeros(6, 4)
    weight[:2, :2], weight[4:, 2:] = 1, 2
    up = PartsUp(weight, ("query", "key", "value"), ("query", "value"))
    assert torch.equal(up.weight, weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LoraTuning(rank=193), "tuning.rank 193 is larger than the layer vision_encoder.layers.0.attn.qkv"),
        (LoraTuning(rank=65, targets=["decoder_attention"], decoder=False), "from 128 to 64 channels.: set 64 or less"),
        (LoraTuning(blocks=8), "tuning.blocks 8 is more than the 7 blocks"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(settings: LoraTuning, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        tuned(settings)


def test_a_target_that_a_model_has_not_is_answered_with_those_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = load_segmenter("adapt:tiny")
    fewer = [site for site in segmenter.linears if "mlp" not in site.roles]
    monkeypatch.setattr(type(segmenter), "linears", fewer)
    with pytest.raises(RecipeError, match="has no mlp; what it has: decoder_attention, key, proj, query, value"):
        choose(segmenter, LoraTuning(targets=["mlp"]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without CUDA")
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_encoder_needs_cuda(bits: int) -> None:
    with pytest.raises(RecipeError, match=r"tuning\.encoder_bits needs a CUDA GPU"):
        tuned(LoraTuning.model_validate({"encoder_bits": bits}))


def test_a_quantised_encoder_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(RecipeError, match=r"adapt-sam\[quantised\]"):
        tuned(LoraTuning(encoder_bits=4))
