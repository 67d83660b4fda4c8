"""Run an encoder on images, or only what is left of it behind cached features."""

import torch
from torch import Tensor

from adapt.features.cache import FeatureCache
from adapt.samples import Cached
from adapt.segmenters import Hidden, ImageFeatures, PromptableSegmenter

AT_ONCE = 8
"""Images that keep a GPU busy."""


@torch.no_grad()
def frozen_part(
    segmenter: PromptableSegmenter,
    images: Tensor,
    cached: Cached | None,
    *,
    boundary: int,
    cache: FeatureCache | None,
) -> Hidden:
    """What the first `boundary` stages make of B images: from the cache, or computed and put into it.

    Args:
        segmenter: on the device of the images.
        images: (B - F, 3, S, S) float32, normalised, model frame, of the images that `cached` has not.
        cached: features of the other F; None if the cache was not asked.
        boundary: stages in front of the first one that trains.
        cache: that receives what is computed; None for none. `cached` comes from it.
    """
    if cached is not None and bool(cached.found.all()):
        return tuple(value.float() for value in cached.hidden)
    if cache is None or cached is None:
        return segmenter.encode_prefix(images, boundary=boundary)
    made = cache.rounded(in_parts(segmenter, images, boundary=boundary))
    fresh = tuple(value.contiguous() for value in made)  # as they are read: their order decides the last bits later on
    missing = ~cached.found
    cache.write(tuple(key for key, found in zip(cached.keys, cached.found, strict=True) if not found), fresh)
    if bool(missing.all()):
        return fresh
    return tuple(
        _merged(known.float(), new, cached.found.to(new.device))
        for known, new in zip(cached.hidden, fresh, strict=True)
    )


@torch.no_grad()
def in_parts(segmenter: PromptableSegmenter, images: Tensor, *, boundary: int) -> Hidden:
    """What the first stages make of images, a few at a time, so that filling a cache takes little more memory.

    On a CPU one at a time, which costs little there. In a batch the last bits of an image depend on how many others
    there are. Alone an entry is the same whoever made it and whenever, so a run that was stopped goes on to the same
    bits whatever was written before.
    """
    parts = [segmenter.encode_prefix(part, boundary=boundary) for part in images.split(at_once(images.device))]
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def at_once(device: torch.device) -> int:
    """Images that are encoded together for a cache."""
    return 1 if device.type == "cpu" else AT_ONCE


def _merged(known: Tensor, fresh: Tensor, found: Tensor) -> Tensor:
    """Rows of two tensors in the order that (B,) bool `found` gives."""
    whole = fresh.new_empty(len(found), *fresh.shape[1:])
    whole[found], whole[~found] = known, fresh
    return whole


def encode(
    segmenter: PromptableSegmenter,
    images: Tensor,
    cached: Cached | None,
    *,
    boundary: int,
    cache: FeatureCache | None,
    recompute: bool = False,
) -> ImageFeatures:
    """Features of B images: the frozen part as `frozen_part`, the rest as `PromptableSegmenter.encode_suffix`."""
    hidden = frozen_part(segmenter, images, cached, boundary=boundary, cache=cache)
    return segmenter.encode_suffix(hidden, boundary=boundary, recompute=recompute)
