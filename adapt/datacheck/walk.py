"""One pass over a store: a small summary of each sample, so that no finding needs the pixels again."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.datamodules import Store
from adapt.formats import crops
from adapt.frames import nearest_pixels
from adapt.segmenters import SegmenterSpec

Row = Mapping[str, Any]
"""A row of a store; see `datamodules.prepare.SCHEMA`."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object, image frame.

    Attributes:
        category: its name.
        area: pixels.
        height, width: of its bounding box, pixels.
        pieces: regions that do not touch (8-connected).
        cut: whether the border of a tile cuts it.
        overlaps: whether it shares a pixel with another object.
        seen: whether a pixel of it is left in the model frame.
    """

    category: str
    area: int
    height: int
    width: int
    pieces: int
    cut: bool
    overlaps: bool
    seen: bool


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """A sample.

    Attributes:
        sample_id, group: of the sample.
        height, width: of the image, pixels.
        digest: the same for images of the same pixels.
        mean, std: over all pixels and channels, 0..255.
        white: share of values that are 255.
        clipped: share of values that are 0 or 255.
        objects: in the order of the store.
    """

    sample_id: str
    group: str
    height: int
    width: int
    digest: str
    mean: float
    std: float
    white: float
    clipped: float
    objects: tuple[ObjectSummary, ...]

    def area_scale(self, spec: SegmenterSpec) -> float:
        """Pixels of the model frame for a pixel of the image."""
        across, down = spec.frame(self.height, self.width).scale
        return across * down


def summarise_store(store: Store, *, spec: SegmenterSpec | None, console: Console) -> list[SampleSummary]:
    """Summaries of all rows, in their order.

    Args:
        store: opened.
        spec: of the model that will read the images; None if it is not known: all objects are then seen.
        console: for the progress bar.
    """
    columns = (TextColumn("checking data"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        return [summarise(store.rows[index], spec=spec) for index in progress.track(range(len(store.rows)))]


def summarise(row: Row, *, spec: SegmenterSpec | None) -> SampleSummary:
    """Summary of one row."""
    image = image_of(row)
    share = np.bincount(image.reshape(-1), minlength=256) / image.size
    levels = np.arange(256)
    mean = float(share @ levels)
    return SampleSummary(
        sample_id=row["sample_id"],
        group=row["group"],
        height=row["height"],
        width=row["width"],
        digest=digest(row),
        mean=mean,
        std=float(np.sqrt(share @ (levels - mean) ** 2)),
        white=float(share[255]),
        clipped=float(share[0] + share[255]),
        objects=_objects(row, spec),
    )


def digest(row: Row) -> str:
    """Hash of the size and the pixels of a row's image."""
    size = f"{row['height']} {row['width']} {row['channels']} "
    return hashlib.sha256(size.encode() + row["image"]).hexdigest()


def image_of(row: Row) -> npt.NDArray[np.uint8]:
    """The image of a row, (H, W, 1) or (H, W, 3) uint8."""
    return np.frombuffer(row["image"], dtype=np.uint8).reshape(row["height"], row["width"], row["channels"])


def crops_of(row: Row) -> Iterator[tuple[tuple[int, int], npt.NDArray[np.bool_]]]:
    """(row, column) where each mask's bounding box begins, and what is in it, (h, w) bool."""
    for (top, left, _, _), mask in zip(row["boxes"], crops(row["boxes"], row["masks"]), strict=True):
        yield (top, left), mask


def _objects(row: Row, spec: SegmenterSpec | None) -> tuple[ObjectSummary, ...]:
    boxes = list(crops_of(row))
    depth = np.zeros((row["height"], row["width"]), dtype=np.uint16)
    for corner, mask in boxes:
        _under(depth, corner, mask)[...] += mask
    shown = None if spec is None else nearest_pixels(spec.frame(row["height"], row["width"]))
    cut = row["cut"] or [False] * len(boxes)
    return tuple(
        ObjectSummary(
            category=category,
            area=int(np.count_nonzero(mask)),
            height=mask.shape[0],
            width=mask.shape[1],
            pieces=cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1,
            cut=is_cut,
            overlaps=bool((_under(depth, corner, mask)[mask] > 1).any()),
            seen=shown is None or _seen(corner, mask, shown),
        )
        for (corner, mask), category, is_cut in zip(boxes, row["categories"], cut, strict=True)
    )


def _under(
    values: npt.NDArray[np.uint16], corner: tuple[int, int], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint16]:
    """The part of an (H, W) array that a mask's bounding box covers."""
    top, left = corner
    return values[top : top + mask.shape[0], left : left + mask.shape[1]]


def _seen(
    corner: tuple[int, int],
    mask: npt.NDArray[np.bool_],
    shown: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> bool:
    """Whether `masks_to_model_frame` would leave a pixel, from the rows and columns of the image that it shows."""
    rows, columns = (
        pixels[np.searchsorted(pixels, start) : np.searchsorted(pixels, start + length)] - start
        for pixels, start, length in zip(shown, corner, mask.shape, strict=True)
    )
    return bool(mask[np.ix_(rows, columns)].any())
