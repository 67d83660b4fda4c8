"""What is frozen of an encoder with batch norms gives the same numbers in every step, and what LoRA finds in it."""

import copy

import pytest
import torch
from small_families import small_segmenter
from torch import Tensor, nn

from adapt.features.keys import prefix_key
from adapt.segmenters.segmenter import Segmenter
from adapt.tuning import base_weights

families = pytest.mark.parametrize("family", ["MobileSAM", "EdgeSAM", "RepViT-SAM"])


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def batch_norms(segmenter: Segmenter) -> list[nn.BatchNorm2d]:
    return [module for module in segmenter.encoder.modules() if isinstance(module, nn.BatchNorm2d)]


@families
def test_training_mode_gives_the_numbers_of_evaluation_and_leaves_statistics(family: str) -> None:
    segmenter = copy.deepcopy(small_segmenter(family))
    expected = segmenter.encode(images()).embedding
    before = {name: value.clone() for name, value in segmenter.encoder.named_buffers()}
    assert len(before) == 3 * len(batch_norms(segmenter)) > 30
    segmenter.train()
    for _ in range(2):
        found = segmenter.encode(images()).embedding
        found.square().mean().backward()
        assert torch.equal(found, expected)
    assert all(torch.equal(value, before[name]) for name, value in segmenter.encoder.named_buffers())
    assert all(norm.weight.grad is not None and bool(norm.weight.grad.any()) for norm in batch_norms(segmenter))


@families
@torch.no_grad()
def test_what_a_cache_gives_back_goes_on_to_the_same_bits_from_every_stage(family: str) -> None:
    segmenter = small_segmenter(family)
    expected = segmenter.encode(images()).embedding
    for boundary in range(len(segmenter.stages) + 1):
        kept = segmenter.encode_prefix(images(), boundary=boundary)
        read = tuple(torch.stack([image.clone(memory_format=torch.contiguous_format) for image in of]) for of in kept)
        assert torch.equal(segmenter.encode_suffix(read, boundary=boundary).embedding, expected), boundary


@families
def test_other_statistics_are_another_model_for_the_cache_and_for_an_adapter(family: str) -> None:
    one, other = (copy.deepcopy(small_segmenter(family)) for _ in range(2))

    def known_by(segmenter: Segmenter) -> tuple[str, str]:
        key = prefix_key(segmenter, boundary=2, dtype="float32", precision="32-true")
        return key, base_weights(segmenter, "small").sha256

    assert known_by(one) == known_by(other)
    first, *_, last = batch_norms(other)
    last.running_mean.add_(1.0)
    assert known_by(one)[0] == known_by(other)[0]  # it is behind the second stage
    assert known_by(one)[1] != known_by(other)[1]
    first.running_var.mul_(2.0)
    assert known_by(one)[0] != known_by(other)[0]


def test_lora_finds_the_linear_layers_of_every_block_of_tiny_vit_and_none_in_repvit() -> None:
    tiny_vit = small_segmenter("MobileSAM")
    found = {site.name: site.roles for site in tiny_vit.linears if site.stage is not None}
    linear = [name for name, module in tiny_vit.model.vision_encoder.named_modules() if isinstance(module, nn.Linear)]
    assert set(found) == {f"vision_encoder.{name}" for name in linear}
    assert len(found) == 4 * len(tiny_vit.blocks) == 16
    assert found["vision_encoder.layers.0.attn.qkv"] == ("query", "key", "value")
    for family in ("EdgeSAM", "RepViT-SAM"):
        repvit = small_segmenter(family)
        assert not any(isinstance(module, nn.Linear) for module in repvit.encoder.modules())
        assert len(repvit.blocks) == 0 and {site.stage for site in repvit.linears} == {None}
