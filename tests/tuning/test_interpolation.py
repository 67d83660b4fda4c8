"""Mixed weights: both ends to the last bit, the middle as the formula says, only what differs."""

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import SamModel

from adapt.errors import CheckpointError
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.tuning import interpolate, mixed


def _weights(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(3, 5, generator=generator) for name in ("a", "b")} | {"same": torch.ones(2)}


@pytest.fixture(scope="module")
def base() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


@pytest.fixture(scope="module")
def tuned() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in segmenter.mask_decoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return segmenter


def _state(segmenter: PromptableSegmenter) -> dict[str, Tensor]:
    return dict(segmenter.named_parameters())


@pytest.mark.parametrize("alpha", [0, 0.0, 1, 1.0])
def test_both_ends_are_the_models_to_the_last_bit(alpha: float) -> None:
    base, tuned = _weights(0), _weights(1)
    wanted = tuned if alpha else base
    found = interpolate(base, tuned, alpha)
    assert sorted(found) == ["a", "b"]
    assert all(torch.equal(found[name], wanted[name]) for name in found)


@given(alpha=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_mix_is_the_weighted_mean(alpha: float) -> None:
    base, tuned = _weights(0), _weights(1)
    found = interpolate(base, tuned, alpha)
    for name in ("a", "b"):
        exact = (1 - alpha) * base[name].double() + alpha * tuned[name].double()
        torch.testing.assert_close(found[name].double(), exact, rtol=1e-5, atol=1e-6)


def test_weights_that_do_not_differ_are_left_out() -> None:
    assert interpolate(_weights(0), _weights(0), 0.5) == {}


def test_the_models_are_left_as_they_are() -> None:
    base, tuned = _weights(0), _weights(1)
    for alpha in (0, 0.3, 1):
        for weights in interpolate(base, tuned, alpha).values():
            weights.zero_()
    assert all(torch.equal(base[name], _weights(0)[name]) for name in base)
    assert all(torch.equal(tuned[name], _weights(1)[name]) for name in tuned)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_a_share_outside_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="must lie in 0 to 1"):
        interpolate(_weights(0), _weights(1), alpha)


def test_another_architecture_cannot_be_mixed() -> None:
    for other in ({"a": torch.zeros(1)}, {**_weights(1), "a": torch.zeros(4)}):
        with pytest.raises(CheckpointError, match=r"different architectures.*model\.checkpoint"):
            interpolate(_weights(0), other, 0.5)


@pytest.mark.parametrize("alpha", [0, 1])
def test_a_segmenter_at_an_end_is_that_model_to_the_last_bit(
    base: PromptableSegmenter, tuned: PromptableSegmenter, alpha: float
) -> None:
    found, wanted = _state(mixed(base, tuned, alpha)), _state((base, tuned)[alpha])
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_mix_shares_an_encoder_that_was_not_tuned(base: PromptableSegmenter, tuned: PromptableSegmenter) -> None:
    mix = mixed(base, tuned, 0.5)
    assert mix.encoder is base.encoder
    assert mix.mask_decoder is not base.mask_decoder


def test_a_tuned_encoder_is_mixed_as_well(base: PromptableSegmenter, tuned: PromptableSegmenter) -> None:
    other = copy.deepcopy(tuned)
    name, weights = next(iter(other.encoder.named_parameters()))
    with torch.no_grad():
        weights.add_(1.0)
    mix = mixed(base, other, 0.25)
    assert mix.encoder is not base.encoder
    found, before = dict(mix.encoder.named_parameters())[name], dict(base.encoder.named_parameters())[name]
    torch.testing.assert_close(found, before + 0.25)


def test_plain_transformers_loads_a_mix(base: PromptableSegmenter, tuned: PromptableSegmenter, tmp_path: Path) -> None:
    mix = mixed(base, tuned, 0.5)
    mix.save(tmp_path)
    loaded = dict(SamModel.from_pretrained(tmp_path).named_parameters())
    for name, weights in mix.named_parameters():
        assert torch.equal(loaded[name.removeprefix("model.")], weights)
