"""Factors and offsets: exactly where they are, and how they merge."""

import torch

from adapt.recipe import ScaleShiftTuning
from adapt.segmenters import load_segmenter
from adapt.tuning import choose, merge, trainable_names


def test_each_linear_layer_and_norm_of_the_last_blocks_has_a_factor_and_an_offset() -> None:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, ScaleShiftTuning(blocks=1, decoder=False))
    layers = ("layer_norm1", "attn.qkv", "attn.proj", "layer_norm2", "mlp.lin1", "mlp.lin2")
    assert set(trainable_names(segmenter)) == {
        f"model.vision_encoder.layers.6.{layer}.scale_shift.{part}" for layer in layers for part in ("scale", "shift")
    }


def test_merging_multiplies_the_rows_and_moves_the_bias() -> None:
    segmenter = load_segmenter("adapt:tiny")
    layer = segmenter.model.get_submodule("vision_encoder.layers.6.mlp.lin1")
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    choose(segmenter, ScaleShiftTuning(blocks=1))
    with torch.no_grad():
        layer.scale_shift.scale.fill_(2)
        layer.scale_shift.shift.fill_(3)
    merge(segmenter)
    assert torch.equal(layer.weight, 2 * weight)
    assert torch.equal(layer.bias, 2 * bias + 3)
    assert not hasattr(layer, "scale_shift")
