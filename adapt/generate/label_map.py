"""Masks that overlap, as a label map in which each pixel has one owner."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from adapt.formats import encode_part
from adapt.generate.masks import GeneratedMask


def label_map(
    masks: Sequence[GeneratedMask],
    shape: tuple[int, int],
    *,
    first: Literal["confident", "small"],
    least_visible: float,
) -> npt.NDArray[np.int32]:
    """One label a pixel: 0 is background, i + 1 is `masks[i]`.

    Masks are laid down one after the other, and a pixel that has an owner keeps it. `confident` begins with the highest
    predicted IoU times stability, of equal ones with the least area; `small` with the least area, of equal ones with
    the highest product. What is equal in both goes by box, then by its place in the list. A mask that finds
    less than `least_visible` of its pixels free is left out whole: the rest of a mask is rarely an object.

    Args:
        masks: of one image; `GenerateSettings.overlap` and `least_visible` are the defaults of what follows.
        shape: height and width of the image.
        first: which masks are laid down first.
        least_visible: share, 0 to 1.
    """
    labels = np.zeros(shape, dtype=np.int32)

    def rank(index: int) -> tuple[object, ...]:
        mask = masks[index]
        worth = -mask.predicted_iou * mask.stability
        return (*((worth, mask.area) if first == "confident" else (mask.area, worth)), mask.box, index)

    for index in sorted(range(len(masks)), key=rank):
        left, top, right, bottom = (int(edge) for edge in masks[index].box)
        inside = np.s_[top : bottom + 1, left : right + 1]
        owned = labels[inside]
        free = masks[index].pixels[inside] & (owned == 0)
        visible = int(np.count_nonzero(free))
        if visible and visible >= least_visible * masks[index].area:
            owned[free] = index + 1
    return labels


def visible_parts(labels: npt.NDArray[np.int32], masks: Sequence[GeneratedMask]) -> list[bytes]:
    """Run lengths of what each mask owns of their label map, without those that own nothing.

    Args:
        labels: (H, W), see `label_map`.
        masks: of which it was made.
    """
    height, width = labels.shape
    found = []
    for number, mask in enumerate(masks, start=1):
        left, top, right, bottom = (int(edge) for edge in mask.box)
        owned = labels[top : bottom + 1, left : right + 1] == number
        if owned.any():
            found.append(encode_part(owned, top=top, left=left, height=height, width=width))
    return found
