"""Random numbers that depend on what they are for, not on what was drawn before.

Each draw is a hash of (recipe seed, epoch, sample key, object, purpose). So all objects are drawn at once
on any device, the order of samples or the number of workers changes nothing, and a resumed run draws what
the uninterrupted one would have drawn. The hash is splitmix64 (Steele, Lea, Flood: Fast Splittable
Pseudorandom Number Generators, OOPSLA 2014), applied to each part in turn.
"""

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_INCREMENT = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    return (value >> bits) & ((1 << (64 - bits)) - 1)  # int64 shifts keep the sign; the hash wants zeros


def mix(value: Tensor) -> Tensor:
    """splitmix64's output for a state, element by element; int64 in, int64 out, wrapping."""
    value = value + _INCREMENT
    value = (value ^ _shift_right(value, 30)) * _FIRST
    value = (value ^ _shift_right(value, 27)) * _SECOND
    return value ^ _shift_right(value, 31)


def draw_keys(sample_keys: Tensor, *, seed: int, epoch: int) -> Tensor:
    """(B,) int64 hash of seed, epoch and sample; the root of all draws of a sample in an epoch."""
    root = mix(torch.tensor(_signed(seed % (1 << 64)), dtype=torch.int64, device=sample_keys.device))
    return mix(mix(root ^ epoch) ^ sample_keys)


def object_keys(keys: Tensor, objects: int) -> Tensor:
    """(B, objects) int64 from (B,) keys: one an object of the sample."""
    return mix(keys[:, None] ^ mix(torch.arange(objects, dtype=torch.int64, device=keys.device)))


def uniform(keys: Tensor, purpose: int) -> Tensor:
    """Float32 in [0, 1), one a key, from the 24 highest bits; `purpose` tells the draws of a key apart."""
    return _shift_right(mix(keys ^ mix(torch.full_like(keys, purpose))), 40).float() * 2.0**-24


def normal(keys: Tensor, purpose: int) -> Tensor:
    """Float32 standard normal, one a key: inverse of the distribution at a uniform draw."""
    # Odd multiples of 2^-24, so never -1 or 1, where the inverse is infinite; 0.5 goes first, or float32 rounds to 1.
    centred = (uniform(keys, purpose) - 0.5) * 2 + 2.0**-24
    return torch.erfinv(centred) * 2**0.5
