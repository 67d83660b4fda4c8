"""Fresh weights: repeatable, and an initialisation from which training gets somewhere."""

from pathlib import Path

import pytest
import torch
from torch import nn

from adapt.errors import CheckpointError
from adapt.segmenters import load_segmenter, random_segmenter
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter
from adapt.segmenters.segmenter import Segmenter
from adapt.segmenters.tiny import tiny_config


@pytest.fixture(scope="module")
def tiny() -> Segmenter:
    return sam_segmenter(initialised(tiny_config(), seed=0))


def test_the_seed_decides_the_weights(tiny: Segmenter) -> None:
    torch.manual_seed(123)
    again, other = (dict(random_segmenter("adapt:tiny", seed=seed).named_parameters()) for seed in (0, 1))
    for name, parameter in tiny.named_parameters():
        assert torch.equal(parameter, again[name]), name
    assert any(not torch.equal(again[name], other[name]) for name in other)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initialised(tiny_config(), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_folder_gives_the_architecture_alone(tiny: Segmenter, tmp_path: Path) -> None:
    tiny.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    fresh = dict(random_segmenter(str(tmp_path), seed=0).named_parameters())
    assert all(torch.equal(parameter, fresh[name]) for name, parameter in tiny.named_parameters())
    with pytest.raises(CheckpointError, match="weights cannot be read"):
        load_segmenter(str(tmp_path))


def test_the_encoder_tells_images_apart(tiny: Segmenter) -> None:
    """With the initialisation that transformers gives, its output would be the same zeros for every image."""
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        embedding = tiny.encode(images).embedding
    assert embedding.std() > 0.1
    assert (embedding[0] - embedding[1]).std() > 0.1


def test_the_decoder_is_initialised_as_torch_does(tiny: Segmenter) -> None:
    """Uniform in ±1/sqrt(inputs), so the spread is 1/sqrt(3 * inputs); transformers' 0.02 hardly learns."""
    linear = [module for module in tiny.mask_decoder.modules() if isinstance(module, nn.Linear)]
    assert len(linear) > 40
    for module in linear:
        expected = (3 * module.in_features) ** -0.5
        assert module.weight.std().item() == pytest.approx(expected, rel=0.15)
        assert module.weight.abs().max().item() <= module.in_features**-0.5 + 1e-6


def test_the_upscaling_is_initialised_as_torch_does(tiny: Segmenter) -> None:
    for module in (module for module in tiny.mask_decoder.modules() if isinstance(module, nn.ConvTranspose2d)):
        inputs = module.out_channels * 4  # what torch counts for a transposed convolution with a 2 x 2 kernel
        assert module.weight.std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.15)


def test_positions_have_the_scale_of_the_original(tiny: Segmenter) -> None:
    """With transformers' default of hidden_size // 2, neighbouring points would look unrelated."""
    frequencies = tiny.model.shared_image_embedding.positional_embedding
    assert tiny.model.config.vision_config.scale == 1.0
    assert frequencies.std().item() == pytest.approx(1.0, rel=0.2)  # 128 draws


def test_neighbouring_pixels_have_similar_positions(tiny: Segmenter) -> None:
    points = torch.tensor([[100.0, 100.0], [101.0, 100.0], [200.0, 30.0]])[None, :, None]
    with torch.no_grad():
        embedded = tiny.model.shared_image_embedding(points, (256, 256))[0, :, 0]
    near, far = torch.cosine_similarity(embedded[:1], embedded[1:]).tolist()
    assert near > 0.95
    assert far < 0.5
