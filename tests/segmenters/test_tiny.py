"""`adapt:tiny`: its size, its repeatable weights, and an initialisation that can learn."""

import pytest
import torch
from torch import nn

from adapt.segmenters import load_segmenter
from adapt.segmenters.sam import SamSegmenter
from adapt.segmenters.tiny import build_tiny


@pytest.fixture(scope="module")
def tiny() -> SamSegmenter:
    return SamSegmenter(build_tiny())


def test_it_reads_256_pixels_with_about_4_million_parameters(tiny: SamSegmenter) -> None:
    assert tiny.spec.image_size == 256
    assert 3.5e6 < sum(parameter.numel() for parameter in tiny.parameters()) < 5e6


def test_it_is_loaded_by_name_in_eval_mode_and_float32() -> None:
    segmenter = load_segmenter("adapt:tiny")
    assert isinstance(segmenter, SamSegmenter)
    assert not segmenter.model.training
    assert {parameter.dtype for parameter in segmenter.parameters()} == {torch.float32}


def test_every_call_gives_the_same_weights(tiny: SamSegmenter) -> None:
    torch.manual_seed(123)
    again = dict(SamSegmenter(build_tiny()).named_parameters())
    for name, parameter in tiny.named_parameters():
        assert torch.equal(parameter, again[name]), name


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_tiny()
    assert torch.equal(torch.rand(3), expected)


def test_the_encoder_tells_images_apart(tiny: SamSegmenter) -> None:
    """With the initialisation that transformers gives, its output would be the same zeros for every image."""
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedding = tiny.encode(images).embedding
    assert embedding.std() > 0.1
    assert (embedding[0] - embedding[1]).std() > 0.1


def test_the_decoder_is_initialised_as_torch_does(tiny: SamSegmenter) -> None:
    """Uniform in ±1/sqrt(inputs), so the spread is 1/sqrt(3 * inputs); transformers' 0.02 hardly learns."""
    linear = [module for module in tiny.mask_decoder.modules() if isinstance(module, nn.Linear)]
    assert len(linear) > 40
    for module in linear:
        expected = (3 * module.in_features) ** -0.5
        assert module.weight.std().item() == pytest.approx(expected, rel=0.15)
        assert module.weight.abs().max().item() <= module.in_features**-0.5 + 1e-6


def test_the_upscaling_is_initialised_as_torch_does(tiny: SamSegmenter) -> None:
    for module in (module for module in tiny.mask_decoder.modules() if isinstance(module, nn.ConvTranspose2d)):
        inputs = module.out_channels * 4  # what torch counts for a transposed convolution with a 2 x 2 kernel
        assert module.weight.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.15)


def test_positions_have_the_scale_of_the_original(tiny: SamSegmenter) -> None:
    """With transformers' default of hidden_size // 2, neighbouring points would look unrelated."""
    frequencies = tiny.model.shared_image_embedding.positional_embedding
    assert tiny.model.config.vision_config.scale == 1.0
    assert frequencies.std().item() == pytest.approx(1.0, rel=0.2)  # 128 draws


def test_neighbouring_pixels_have_similar_positions(tiny: SamSegmenter) -> None:
    points = torch.tensor([[100.0, 100.0], [101.0, 100.0], [200.0, 30.0]])[None, :, None]
    with torch.no_grad():
        embedded = tiny.model.shared_image_embedding(points, (256, 256))[0, :, 0]
    near, far = torch.cosine_similarity(embedded[:1], embedded[1:]).tolist()
    assert near > 0.95
    assert far < 0.5
