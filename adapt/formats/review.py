"""Masks that people look through in another program: what every format of such programs carries of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.formats.coco import rasterise
from adapt.formats.rle import encode_masks

IDENTITY = "object"
"""The attribute that holds the identity in formats that have no place of their own for it."""


@dataclass(frozen=True)
class ReviewObject:
    """One mask.

    Attributes:
        identity: what it was called when it was exported, unique in its image; empty for a mask that people added.
        label: its category.
        mask: compressed run-length counts of COCO, of the whole image.
        attributes: what else is known of it, as texts.
    """

    identity: str
    label: str
    mask: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReviewImage:
    """One image with its masks; sizes in pixels."""

    file_name: str
    height: int
    width: int
    objects: tuple[ReviewObject, ...]


def with_identity(item: ReviewObject) -> dict[str, str]:
    """The attributes, and the identity as one of them."""
    return {IDENTITY: item.identity, **item.attributes}


def review_object(label: str, mask: bytes, attributes: Mapping[str, Any]) -> ReviewObject:
    """An object from attributes as a program has kept them; those that are empty count as not there."""
    texts = {str(name): str(value) for name, value in attributes.items() if value not in (None, "")}
    return ReviewObject(identity=texts.pop(IDENTITY, ""), label=label, mask=mask, attributes=texts)


def checked_size(height: int, width: int, *, max_pixels: int, source: str) -> None:
    """Check the size that a file claims for an image before any mask of it is drawn.

    Raises:
        DataError: it has no pixel, or more than the limit.
    """
    if min(height, width) < 1 or height * width > max_pixels:
        raise DataError(f"{source}: is said to be {width} x {height} pixels; from 1 to {max_pixels:,} in all are read")


def encode_mask(mask: npt.NDArray[np.bool_], *, source: str) -> bytes:
    """Run lengths of an (H, W) mask.

    Raises:
        DataError: it is empty.
    """
    if not mask.any():
        raise DataError(f"{source}: has no pixel; draw it, or remove it")
    return encode_masks(mask[None])[0]


def polygon_mask(points: Sequence[tuple[float, float]], *, height: int, width: int, source: str) -> bytes:
    """Run lengths of the inside of an outline.

    Args:
        points: x, y in pixels, 0 at the upper left corner of the image.
        height: of the image.
        width: of the image.
        source: for messages.

    Raises:
        DataError: fewer than three points, one outside of the image by more than a pixel, or nothing inside.
    """
    refuse_outside(points, height=height, width=width, source=source)
    if len(points) < 3:
        raise DataError(f"{source}: has {len(points)} points; a polygon has at least three")
    ring = [min(max(value, 0.0), float(end)) for x, y in points for value, end in ((x, width), (y, height))]
    return encode_mask(rasterise([ring], height=height, width=width), source=source)


def refuse_outside(points: Sequence[tuple[float, float]], *, height: int, width: int, source: str) -> None:
    """Check the points of an outline; see `polygon_mask`.

    Raises:
        DataError: one is outside of the image by more than a pixel.
    """
    outside = [(x, y) for x, y in points if not (-1 <= x <= width + 1 and -1 <= y <= height + 1)]  # NaN is outside too
    if outside:
        raise DataError(
            f"{source}: point ({outside[0][0]:g}, {outside[0][1]:g}) is outside of the image of {width} x {height} "
            "pixels; draw it inside, or export the image at its own size"
        )
