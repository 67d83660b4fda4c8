"""A sample in the model frame as a batch of one, and batches joined."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import get_worker_info

from adapt.frames import masks_to_model_frame
from adapt.samples import Batch, Cached, Sample, sample_key
from adapt.segmenters import SegmenterSpec

SHARED_MEMORY = Path("/dev/shm")


def to_batch(
    sample: Sample,
    spec: SegmenterSpec,
    *,
    cached: Cached | None = None,
    counted: bool = True,
    embeddings: Tensor | None = None,
) -> Batch:
    """A batch of one: the sample in the model frame, without its pixels if `cached` has their features.

    An object too thin for the model's pixels is not valid there, unless all are: then the first keeps the
    pixel at its mean position, since each image of a batch has a valid object.
    """
    frame = spec.frame(sample.image.shape[0], sample.image.shape[1])
    masks = torch.from_numpy(masks_to_model_frame(sample.masks, size=spec.image_size, fit=spec.fit))
    valid = masks.flatten(1).any(1)
    if not valid.any():
        rows, columns = np.nonzero(sample.masks[0])
        scale_x, scale_y = frame.scale
        masks[0, int((rows.mean() + 0.5) * scale_y), int((columns.mean() + 0.5) * scale_x)] = True
        valid[0] = True
    height, width = frame.resized
    known = cached is not None and bool(cached.found.all())
    images = torch.empty(0, 3, spec.image_size, spec.image_size) if known else spec.to_model_frame(sample.image)[None]
    return Batch(
        images=images,
        extents=torch.tensor([[width, height]], dtype=torch.float32),
        masks=masks.unsqueeze(0),
        object_valid=valid.unsqueeze(0),
        sample_keys=torch.tensor([sample_key(sample.sample_id)]),
        categories=(sample.categories,),
        groups=(sample.group,),
        sample_ids=(sample.sample_id,),
        spacings=torch.tensor([sample.spacing], dtype=torch.float32),
        cached=cached,
        counted=torch.tensor([counted]),
        weights=torch.tensor([sample.weights or (1.0,) * len(sample.masks)], dtype=torch.float32),
        embeddings=None if embeddings is None else embeddings[None],
    )


def collate(items: Sequence[Batch]) -> Batch:
    """Batches of one, joined; images with fewer objects get padding objects, marked invalid."""
    objects = max(item.object_valid.shape[1] for item in items)
    side = items[0].masks.shape[-1]
    masks = torch.zeros(len(items), objects, side, side, dtype=torch.bool)
    valid = torch.zeros(len(items), objects, dtype=torch.bool)
    weights = torch.ones(len(items), objects)
    for index, item in enumerate(items):
        count = item.object_valid.shape[1]
        masks[index, :count], valid[index, :count] = item.masks[0], item.object_valid[0]
        weights[index, :count] = item.weights[0]
    given = [item.embeddings[0] for item in items if item.embeddings is not None]
    return Batch(
        images=torch.cat([item.images for item in items]),
        extents=torch.cat([item.extents for item in items]),
        masks=masks,
        object_valid=valid,
        sample_keys=torch.cat([item.sample_keys for item in items]),
        categories=tuple(item.categories[0] for item in items),
        groups=tuple(item.groups[0] for item in items),
        sample_ids=tuple(item.sample_ids[0] for item in items),
        spacings=torch.cat([item.spacings for item in items]),
        cached=_joined([item.cached for item in items if item.cached is not None]),
        counted=torch.cat([item.counted for item in items]),
        weights=weights,
        embeddings=pad_sequence(given, batch_first=True) if given else None,
    )


def collate_for_main_process(items: Sequence[Batch]) -> Batch:
    """`collate`; in a worker straight into shared memory.

    The loader would move it there in a thread of its own, whose errors nobody hears of: a full /dev/shm would look like
    a worker that hangs.
    """
    batch = collate(items)
    if get_worker_info() is None:
        return batch
    try:
        return batch.share_memory()
    except RuntimeError:
        for begun in SHARED_MEMORY.glob(f"torch_{os.getpid()}_*"):  # torch leaves the file that it could not fill
            begun.unlink(missing_ok=True)
        raise


def _joined(parts: Sequence[Cached]) -> Cached | None:
    """What is known of each image, as of all; None if nobody has looked."""
    if not parts:
        return None
    return Cached(
        keys=tuple(key for part in parts for key in part.keys),
        found=torch.cat([part.found for part in parts]),
        hidden=tuple(torch.cat(values) for values in zip(*(part.hidden for part in parts if part.hidden), strict=True)),
    )
