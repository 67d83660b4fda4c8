"""A frozen encoder in 4 or 8 bits, by a stand-in for the library, which needs a GPU: what is replaced, and what trains.

What the library makes of the numbers is its own business; that it is asked for is what is looked at here.
"""

import sys
from types import ModuleType
from typing import Any

import peft.tuners.lora.model
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adapt.errors import CheckpointError
from adapt.recipe import LoraTuning
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import choose, merge
from adapt.tuning.placement import linear_of


class Coarse(nn.Linear):
    """Computes with weights of few bits: rounded to a share of the largest one."""

    bits = 0

    def forward(self, input: Tensor) -> Tensor:
        step = self.weight.abs().max() / 2 ** (self.bits - 1)
        return functional.linear(input, (self.weight / step).round() * step, self.bias)


class Linear4bit(Coarse):
    bits = 4

    def __init__(self, inputs: int, outputs: int, *, bias: bool, quant_type: str) -> None:
        super().__init__(inputs, outputs, bias=bias)
        assert quant_type == "nf4"


class Linear8bitLt(Coarse):
    bits = 8

    def __init__(self, inputs: int, outputs: int, *, bias: bool, has_fp16_weights: bool) -> None:
        super().__init__(inputs, outputs, bias=bias)
        assert not has_fp16_weights


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in: Any = ModuleType("bitsandbytes")
    stand_in.nn = ModuleType("bitsandbytes.nn")
    stand_in.nn.Linear4bit, stand_in.nn.Linear8bitLt = Linear4bit, Linear8bitLt
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", stand_in)
    for name in ("is_bnb_available", "is_bnb_4bit_available"):  # peft would import more of it
        monkeypatch.setattr(peft.tuners.lora.model, name, lambda: False)


def quantised(bits: int) -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny").at_input_size(64)
    choose(segmenter, LoraTuning.model_validate({"rank": 2, "blocks": 2, "encoder_bits": bits}))
    return segmenter


@pytest.mark.parametrize(("bits", "kind"), [(4, Linear4bit), (8, Linear8bitLt)])
def test_the_linear_layers_of_all_blocks_are_quantised_with_their_weights_and_no_others(
    library: None, bits: int, kind: type[Coarse]
) -> None:
    segmenter, stock = quantised(bits), load_segmenter("adapt:tiny").at_input_size(64)
    in_blocks = [site for site in stock.linears if site.stage is not None]
    assert sum(isinstance(module, Coarse) for module in segmenter.model.modules()) == len(in_blocks)
    modules = dict(segmenter.model.named_modules())
    for site in in_blocks:
        layer = modules.get(f"{site.name}.base_layer", modules[site.name])  # beside which there is a LoRA, or not
        assert type(layer) is kind
        assert torch.equal(layer.weight, linear_of(stock, site).weight)
        assert not any(parameter.requires_grad for parameter in layer.parameters())


@pytest.mark.parametrize("bits", [4, 8])
def test_a_step_moves_the_lora_and_the_decoder_and_nothing_that_is_quantised(library: None, bits: int) -> None:
    segmenter = quantised(bits)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = {name: values.detach().clone() for name, values in segmenter.named_parameters()}
    trains = [(name, values) for name, values in segmenter.named_parameters() if values.requires_grad]
    in_encoder = [name for name, _ in trains if "vision_encoder" in name]
    assert in_encoder and all("lora_" in name for name in in_encoder)
    plain = load_segmenter("adapt:tiny").at_input_size(64).encode(images).embedding
    found = segmenter.encode(images).embedding
    assert 0 < (found - plain).abs().max() and torch.isfinite(found).all()  # coarser, and finite
    optimizer = torch.optim.SGD([values for _, values in trains], lr=0.1)
    found.square().mean().backward()
    optimizer.step()
    moved = {name for name, values in segmenter.named_parameters() if not torch.equal(values, before[name])}
    assert moved and moved <= set(in_encoder)


def test_a_model_that_was_tuned_on_a_quantised_encoder_is_not_merged(library: None) -> None:
    segmenter = quantised(4)
    for module in segmenter.model.modules():
        if isinstance(module, Coarse):  # as the library keeps them on a GPU
            module.weight = nn.Parameter(module.weight.to(torch.uint8), requires_grad=False)
    with pytest.raises(CheckpointError, match="encoder of 4 or 8 bits"):
        merge(segmenter)
