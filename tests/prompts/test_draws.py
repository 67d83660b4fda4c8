"""The hash behind every random draw: published values, range, and no number that is not finite."""

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.prompts.draws import draw_keys, mix, normal, object_keys, uniform

WORD = 1 << 64
INCREMENT, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _signed(value: int) -> int:
    return value - WORD if value >= WORD // 2 else value


def _unsigned(values: Tensor) -> list[int]:
    return [value % WORD for value in values.tolist()]


def _splitmix64(state: int) -> int:
    """The published C code, in Python's unbounded integers."""
    z = (state + INCREMENT) % WORD
    z = (z ^ (z >> 30)) * FIRST % WORD
    z = (z ^ (z >> 27)) * SECOND % WORD
    return z ^ (z >> 31)


def _undo_shift(value: int, bits: int) -> int:
    result = value
    for _ in range(64 // bits):
        result = value ^ (result >> bits)
    return result


def _state_that_gives(output: int) -> int:
    """The inverse of splitmix64, which is a bijection: lets a test reach the rarest draws."""
    z = _undo_shift(output, 31) * pow(SECOND, -1, WORD) % WORD
    z = _undo_shift(z, 27) * pow(FIRST, -1, WORD) % WORD
    return (_undo_shift(z, 30) - INCREMENT) % WORD


def _key_with_top_bits(bits: int, purpose: int) -> Tensor:
    """A key whose uniform draw for a purpose is `bits` * 2^-24."""
    state = _state_that_gives(bits << 40) ^ _splitmix64(purpose)
    return torch.tensor([_signed(state)], dtype=torch.int64)


def test_published_values_of_splitmix64() -> None:
    """The first outputs of a generator seeded with 0: its state grows by the increment each time."""
    states = torch.tensor([0, _signed(INCREMENT)], dtype=torch.int64)
    assert _unsigned(mix(states)) == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_mix_equals_unbounded_integers_for_any_word() -> None:
    words = [0, 1, WORD // 2, WORD - 1, *np.random.default_rng(0).integers(0, WORD, 500, dtype=np.uint64).tolist()]
    states = torch.tensor([_signed(word) for word in words], dtype=torch.int64)
    assert _unsigned(mix(states)) == [_splitmix64(word) for word in words]


def test_uniform_is_even_in_0_to_1() -> None:
    draws = uniform(torch.arange(100_000), purpose=1)
    assert draws.dtype == torch.float32
    assert 0 <= draws.min() and draws.max() < 1
    counts = torch.histc(draws, bins=20, min=0, max=1)
    chi_square = float(((counts - 5000) ** 2 / 5000).sum())
    assert chi_square < 43.8  # 19 degrees of freedom: 99.9 %


def test_purposes_of_a_key_are_independent() -> None:
    keys = torch.arange(100_000)
    together = torch.corrcoef(torch.stack([uniform(keys, purpose) for purpose in range(6)]))
    assert (together - torch.eye(6)).abs().max() < 0.02


@pytest.mark.parametrize("bits", [0, 1, 2**23, 2**24 - 2, 2**24 - 1])
def test_the_rarest_draws(bits: int) -> None:
    key = _key_with_top_bits(bits, purpose=3)
    assert uniform(key, purpose=3).item() == bits / 2**24  # so the key is what it claims to be
    assert torch.isfinite(normal(key, purpose=3)).all()


def test_normal_is_symmetric_at_its_ends() -> None:
    least = normal(_key_with_top_bits(0, purpose=2), purpose=2)
    largest = normal(_key_with_top_bits(2**24 - 1, purpose=2), purpose=2)
    torch.testing.assert_close(largest, -least)


def test_normal_has_the_moments_of_a_normal() -> None:
    draws = normal(torch.arange(200_000), purpose=0)
    assert abs(draws.mean().item()) < 0.01
    assert abs(draws.std().item() - 1) < 0.01
    assert abs((draws.abs() < 1).float().mean().item() - 0.6827) < 0.005
    assert abs((draws.abs() > 2).float().mean().item() - 0.0455) < 0.003


def test_keys_differ_by_seed_epoch_sample_and_object() -> None:
    samples = torch.arange(50)
    keys = [
        object_keys(draw_keys(samples, seed=seed, epoch=epoch), 8).flatten() for seed in range(5) for epoch in range(5)
    ]
    assert torch.cat(keys).unique().numel() == 5 * 5 * 50 * 8


def test_seed_and_epoch_do_not_trade_places() -> None:
    """Seed 1 in epoch 2 is not seed 2 in epoch 1, nor does seed + epoch alone count."""
    sample = torch.tensor([7])
    assert not torch.equal(draw_keys(sample, seed=1, epoch=2), draw_keys(sample, seed=2, epoch=1))
    assert not torch.equal(draw_keys(sample, seed=0, epoch=0), draw_keys(sample, seed=1, epoch=1))


@pytest.mark.parametrize("seed", [2**31, 2**63, 2**64 - 1])
def test_large_seeds_are_accepted(seed: int) -> None:
    keys = draw_keys(torch.tensor([7]), seed=seed, epoch=0)
    assert not torch.equal(keys, draw_keys(torch.tensor([7]), seed=0, epoch=0))


def test_the_first_objects_do_not_depend_on_how_many_follow() -> None:
    keys = draw_keys(torch.arange(3), seed=0, epoch=0)
    assert torch.equal(object_keys(keys, 2), object_keys(keys, 9)[:, :2])
