"""The compiled encoder: the same features and gradients; without a compiler one clear error."""

import copy
import locale
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from adapt.errors import RecipeError
from adapt.segmenters import PromptableSegmenter, fold_attention
from adapt.segmenters.compiled import compile_encoder
from adapt.segmenters.initial import initialised
from adapt.segmenters.sam import sam_segmenter
from adapt.segmenters.tiny import tiny_config

CPU = torch.device("cpu")


def small_segmenter() -> PromptableSegmenter:
    """A single block: each takes seconds to compile."""
    config = tiny_config()
    vision = config.vision_config
    vision.image_size, vision.hidden_size, vision.num_attention_heads, vision.window_size = 64, 32, 2, 2
    vision.num_hidden_layers, vision.global_attn_indexes = 1, [0]
    config.prompt_encoder_config.image_size, config.prompt_encoder_config.image_embedding_size = 64, 4
    segmenter = sam_segmenter(initialised(config, seed=0))
    fold_attention(segmenter.encoder)
    return segmenter


def run(segmenter: PromptableSegmenter, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features, and the gradients of all parameters of the encoder."""
    features = segmenter.encode(images).embedding
    features.square().mean().backward()
    parameters = segmenter.encoder.parameters()
    return features.detach(), torch.cat([parameter.grad.flatten() for parameter in parameters])  # type: ignore[union-attr]


@pytest.fixture
def utf8() -> Iterator[None]:
    """Torch reads what the compiler says in the locale's encoding, which another test may have left at ASCII."""
    before = locale.setlocale(locale.LC_CTYPE)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    yield
    locale.setlocale(locale.LC_CTYPE, before)


@pytest.mark.slow
@pytest.mark.usefixtures("utf8")
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_a_compiled_encoder_gives_the_same_features_and_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    plain = small_segmenter()
    compiled = copy.deepcopy(plain)
    compile_encoder(compiled, CPU)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    (features, expected), (found, of_compiled) = (run(segmenter, images) for segmenter in (plain, compiled))
    torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(of_compiled, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert [name for name, _ in compiled.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert isinstance(copy.deepcopy(compiled), nn.Module)


@pytest.mark.filterwarnings("ignore")
def test_without_a_compiler_the_error_names_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    torch._dynamo.reset()
    with pytest.raises(RecipeError, match=r"trainer\.compile=false"):
        compile_encoder(small_segmenter(), CPU)
