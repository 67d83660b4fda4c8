"""Another input size: the same weights, positions interpolated as transformers does on the fly."""

import pytest
import torch
from transformers import SamModel

from adapt.errors import CheckpointError
from adapt.prompts import point_prompts
from adapt.segmenters import load_segmenter
from adapt.segmenters.initial import initialised
from adapt.segmenters.input_size import at_input_size
from adapt.segmenters.tiny import tiny_config


@pytest.fixture(scope="module")
def model() -> SamModel:
    return initialised(tiny_config(), seed=0)


@pytest.mark.parametrize("size", [64, 128, 384])
def test_it_encodes_and_decodes_at_that_size(size: int) -> None:
    segmenter = load_segmenter("adapt:tiny").at_input_size(size)
    assert (segmenter.spec.image_size, segmenter.spec.mask_size) == (size, size // 4)
    prompts = point_prompts(torch.full((1, 2, 2), size / 2), torch.ones(1, 2, dtype=torch.bool))
    with torch.no_grad():
        answer = segmenter.decode(segmenter.encode(torch.randn(1, 3, size, size)), prompts, multimask=True)
    assert answer.logits.shape == (1, 2, 3, size // 4, size // 4)


def test_only_positions_change(model: SamModel) -> None:
    resized = dict(at_input_size(model, 128).named_parameters())
    changed = {name for name, parameter in model.named_parameters() if not _equal(parameter, resized[name])}
    relative = {f"vision_encoder.layers.{layer}.attn.rel_pos_{axis}" for layer in (1, 3, 6) for axis in "hw"}
    assert changed == {"vision_encoder.pos_embed", *relative}


def test_relative_positions_are_those_that_transformers_interpolates_while_it_runs(model: SamModel) -> None:
    layer = model.vision_encoder.layers[1].attn
    torch.nn.init.normal_(layer.rel_pos_h)
    resized = at_input_size(model, 128).vision_encoder.layers[1].attn
    expected = layer.get_rel_pos(8, 8, layer.rel_pos_h)
    assert torch.allclose(resized.get_rel_pos(8, 8, resized.rel_pos_h), expected, atol=1e-6)


def test_positions_come_back_from_a_larger_size(model: SamModel) -> None:
    grid = torch.linspace(-1, 1, 16)
    with torch.no_grad():
        model.vision_encoder.pos_embed[..., 0] = grid[:, None] + grid  # a plane, which interpolation keeps inside
    there = at_input_size(model, 512)
    back = at_input_size(there, 256).vision_encoder.pos_embed[0, 2:-2, 2:-2, 0]
    assert torch.allclose(back, (grid[:, None] + grid)[2:-2, 2:-2], atol=1e-3)


def test_its_own_size_is_the_model_itself(model: SamModel) -> None:
    assert at_input_size(model, 256) is model


def test_a_size_between_patches_is_refused_with_the_nearest_that_fits(model: SamModel) -> None:
    with pytest.raises(CheckpointError, match=r"input_size 250 is not a multiple .* of 16 pixels; take 256"):
        at_input_size(model, 250)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)
