"""The encoder as stages: cut at any of them, it gives what it gives whole."""

import pytest
import torch
from torch import Tensor, nn

from adapt.segmenters import PromptableSegmenter, freeze_boundary, load_segmenter

BLOCKS = 7  # of adapt:tiny


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("boundary", range(BLOCKS + 3))
def test_prefix_and_suffix_are_the_encoder_cut_in_two(images: Tensor, boundary: int) -> None:
    tiny = load_segmenter("adapt:tiny")
    with torch.no_grad():
        hidden = tiny.encode_prefix(images, boundary=boundary)
        parts = tiny.encode_suffix(hidden, boundary=boundary)
        assert torch.equal(parts.embedding, tiny.encode(images).embedding)


def test_nothing_in_front_of_the_first_stage_is_the_images_and_behind_the_last_the_features(images: Tensor) -> None:
    tiny = load_segmenter("adapt:tiny")
    (untouched,) = tiny.encode_prefix(images, boundary=0)
    assert untouched is images
    with torch.no_grad():
        hidden = tiny.encode_prefix(images, boundary=len(tiny.stages))
        assert tiny.encode_suffix(hidden, boundary=len(tiny.stages)).embedding is hidden[0]


def test_stages_have_every_parameter_of_the_encoder_once() -> None:
    tiny = load_segmenter("adapt:tiny")
    listed = [id(parameter) for stage in tiny.stages for parameter in stage.parameters]
    assert len(tiny.stages) == BLOCKS + 2
    assert sorted(listed) == sorted(id(parameter) for parameter in tiny.encoder.parameters())


def test_a_stage_tells_the_shape_of_what_it_hands_on(images: Tensor) -> None:
    tiny = load_segmenter("adapt:tiny")
    hidden = (images,)
    for stage in tiny.stages:
        with torch.no_grad():
            hidden = stage.run(hidden)
        assert tuple(tuple(value.shape[1:]) for value in hidden) == stage.shapes


def _frozen() -> PromptableSegmenter:
    tiny = load_segmenter("adapt:tiny")
    for _, parameter in tiny.named_parameters():
        parameter.requires_grad_(False)
    return tiny


@pytest.mark.parametrize(
    ("trains", "boundary"),
    [
        ("model.vision_encoder.pos_embed", 0),
        ("model.vision_encoder.layers.0.", 1),
        ("model.vision_encoder.layers.5.attn.qkv.bias", 6),
        ("model.vision_encoder.neck.", BLOCKS + 1),
        ("model.mask_decoder.", BLOCKS + 2),
    ],
)
def test_the_boundary_lies_in_front_of_the_first_stage_that_trains(trains: str, boundary: int) -> None:
    tiny = _frozen()
    for name, parameter in tiny.named_parameters():
        parameter.requires_grad_(name.startswith(trains))
    assert freeze_boundary(tiny.stages) == boundary


def test_the_boundary_is_behind_what_is_put_into_a_block() -> None:
    tiny = _frozen()
    block = tiny.stages[4].modules[0]
    block.extra = nn.Linear(2, 2)
    assert freeze_boundary(tiny.stages) == 4


def test_recomputed_stages_give_equal_gradients_and_keep_less(images: Tensor) -> None:
    tiny = load_segmenter("adapt:tiny")
    boundary, found, kept = 5, [], []
    with torch.no_grad():
        hidden = tiny.encode_prefix(images, boundary=boundary)
    for recompute in (False, True):
        sizes: list[int] = []

        def keep(value: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(value.numel())
            return value

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            embedding = tiny.encode_suffix(hidden, boundary=boundary, recompute=recompute).embedding
        kept.append(sum(sizes))
        embedding.square().mean().backward()
        parameters = [parameter for stage in tiny.stages[boundary:] for parameter in stage.parameters]
        found.append(torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None]))
        tiny.encoder.zero_grad()
    assert len(found[0]) == sum(p.numel() for stage in tiny.stages[boundary:] for p in stage.parameters)
    assert torch.equal(found[0], found[1])
    assert kept[1] < kept[0] / 10
