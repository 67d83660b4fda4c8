"""What an entry of the cache is known by: hashes of all that decides its content.

Two parts: the *prefix* (the weights and settings of the frozen stages, how images are brought to them, how numbers are
kept) names a folder, and the *image* (the pixels themselves, after augmentation) names the file in it. So an entry that
is found is right, whatever was changed in between: other weights, another crop, another version of a library that
augments, give another name.
"""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import nn

from adapt.segmenters import PromptableSegmenter

VERSION = 1
"""Raise it when what an entry holds changes, or how an image is brought into the model frame."""


def prefix_key(segmenter: PromptableSegmenter, *, boundary: int, dtype: str, precision: str) -> str:
    """Of the first `boundary` stages of an encoder, 24 hexadecimal digits.

    Args:
        segmenter: its weights may lie on any device.
        boundary: stages that are run before an entry is kept.
        dtype: of the numbers that are kept.
        precision: that the stages run in, as `trainer.precision` names it.
    """
    spec = segmenter.spec
    facts = [VERSION, boundary, dtype, precision, spec.image_size, spec.fit, spec.pixel_mean, spec.pixel_std]
    key = hashlib.sha256(json.dumps(facts).encode())
    for stage in segmenter.stages[:boundary]:
        for module in stage.modules:
            key.update(json.dumps(list(_settings(module))).encode())
        statistics = (buffer for module in stage.modules for buffer in module.buffers())
        for weight in (*stage.parameters, *statistics):
            values = weight.detach().cpu().contiguous().reshape(-1)
            key.update(f"{weight.dtype} {tuple(weight.shape)}".encode())
            key.update(xxhash.xxh3_128_digest(values.view(torch.uint8).numpy().data))
    return key.hexdigest()[:24]


def _settings(module: nn.Module) -> Iterator[tuple[str, str, str, str]]:
    """What decides what a module does beside its weights: window size, number of heads, scale and the like."""
    for name, part in module.named_modules():
        for setting, value in sorted(vars(part).items()):
            if isinstance(value, bool | int | float | str) and setting != "training":
                yield name, type(part).__name__, setting, repr(value)


def image_key(image: npt.NDArray[np.uint8]) -> str:
    """Of an image (H, W, 3) uint8 as the model is shown it, 32 hexadecimal digits."""
    key = xxhash.xxh3_128(repr(image.shape).encode())
    key.update(np.ascontiguousarray(image).data)
    digits: str = key.hexdigest()
    return digits
