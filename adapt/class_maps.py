"""From objects, which may overlap, to classes, which do not: each pixel has one value of a label map.

Value 0 is the background, 1 the first class, and so on. A pixel that several objects claim is the smallest one's: what
lies in or on something larger is seen, and of two objects of one size the later one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.samples import Batch, Sample

IGNORED = -1
"""Value of pixels that nothing is learnt from: the padding of the model frame."""


def label_map(sample: Sample, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """(H, W) values of a sample's pixels; its categories are among the classes."""
    values = {name: value for value, name in enumerate(classes, start=1)}
    labels = np.zeros(sample.masks.shape[1:], dtype=np.int64)
    for place in np.argsort(-sample.masks.sum((1, 2)), kind="stable"):
        labels[sample.masks[place]] = values[sample.categories[place]]
    return labels


def by_class(sample: Sample, classes: Sequence[str]) -> Sample:
    """The sample with one mask for each class that it shows, in the order of the classes; masks do not overlap."""
    labels = label_map(sample, classes)
    shown = [value for value in range(1, len(classes) + 1) if (labels == value).any()]
    masks = labels == np.array(shown)[:, None, None]
    names = tuple(classes[value - 1] for value in shown)
    return replace(sample, masks=masks, categories=names, cut=(), weights=(), tracks=())


def batch_label_maps(batch: Batch, classes: Sequence[str]) -> Tensor:
    """(B, S, S) int64 values of a batch's pixels in the model frame, of samples as `by_class` gives them."""
    values = {name: value for value, name in enumerate(classes, start=1)}
    side = batch.masks.shape[-1]
    labels = torch.zeros(len(batch.masks), side, side, dtype=torch.int64, device=batch.masks.device)
    for of_image, masks, names in zip(labels, batch.masks, batch.categories, strict=True):
        for mask, name in zip(masks, names, strict=False):  # behind the names lies padding
            of_image[mask] = values[name]
    place = torch.arange(side, device=labels.device)
    wide, high = (place < batch.extents[:, axis, None] for axis in (0, 1))
    return labels.where(high[:, :, None] & wide[:, None, :], IGNORED)
