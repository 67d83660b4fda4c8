"""What travels from data to model: a `Sample` in the image frame, a `Batch` in the model frame."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.errors import DataError


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its objects, in the image frame. The same for every domain.

    Attributes:
        image: (H, W, 3) uint8.
        masks: (N, H, W) bool, N >= 1; masks may overlap and none is empty.
        categories: N names.
        group: what must not straddle a split: patient, scene or slide.
        spacing: size of a pixel, (row, column), in `spacing_unit`.
        spacing_unit: mm, m, um or px.
        sample_id: unique in the data set; every random draw of the sample derives from it.
        source: file the sample was read from, for messages.
        cut: of each object, whether the border of a tile cuts it; empty means that none is.
        slice_of: name of the volume that the image is a slice of, its index there, and the distance between
            neighbouring slices in `spacing_unit`; None for an image that is none.
    """

    image: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    categories: tuple[str, ...]
    group: str
    spacing: tuple[float, float]
    spacing_unit: str
    sample_id: str
    source: str
    cut: tuple[bool, ...] = ()
    slice_of: tuple[str, int, float] | None = None

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise DataError(
                f"{self.sample_id}: image must be (H, W, 3) uint8, is {self.image.shape} {self.image.dtype}"
            )
        if self.masks.dtype != np.bool_ or self.masks.shape[1:] != self.image.shape[:2]:
            raise DataError(
                f"{self.sample_id}: masks must be (N, {self.image.shape[0]}, {self.image.shape[1]}) bool, "
                f"are {self.masks.shape} {self.masks.dtype}"
            )
        if len(self.categories) != len(self.masks):
            raise DataError(f"{self.sample_id}: {len(self.masks)} masks but {len(self.categories)} categories")
        if len(self.cut) not in (0, len(self.masks)):
            raise DataError(f"{self.sample_id}: {len(self.masks)} masks but {len(self.cut)} marks of cut objects")
        if not len(self.masks) or not self.masks.any(axis=(1, 2)).all():
            raise DataError(f"{self.sample_id}: has no object, or an object without a pixel")


def with_objects(sample: Sample, chosen: npt.NDArray[np.int64]) -> Sample:
    """The sample with only some of its objects, in the order in which their indices are given."""
    return replace(
        sample,
        masks=sample.masks[chosen],
        categories=tuple(sample.categories[index] for index in chosen),
        cut=tuple(sample.cut[index] for index in chosen) if sample.cut else (),
    )


def sample_key(sample_id: str) -> int:
    """A 63-bit number of a sample id, or of another name, the same on every machine; the seed of a sample's draws."""
    return int.from_bytes(hashlib.sha256(sample_id.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class Cached:
    """What a cache of frozen features knows of B images.

    Attributes:
        keys: B names of entries.
        found: (B,) bool, those that are there.
        hidden: what the frozen part of the encoder makes of the F that are there, (F, ...) each, in their order.
    """

    keys: tuple[str, ...]
    found: Tensor
    hidden: tuple[Tensor, ...]

    def moved(self, move: Callable[[Tensor], Tensor]) -> "Cached":
        """The same with its features elsewhere; `found` stays, since it is asked for on the CPU."""
        return replace(self, hidden=tuple(move(value) for value in self.hidden))


@dataclass(frozen=True, eq=False)
class Batch:
    """B images with up to N objects each, in the model frame; checked once, when it is made.

    Attributes:
        images: (B, 3, S, S) float32, normalised, padding zero; without those that `cached` has.
        extents: (B, 2) float32, width and height of the image inside the square, pixels.
        masks: (B, N, S, S) bool target masks.
        object_valid: (B, N) bool; False marks padding objects. Each image has a valid one.
        sample_keys: (B,) int64, `sample_key` of each sample id.
        categories: B tuples of names, one an object that is not padding.
        groups, sample_ids: B texts.
        spacings: (B, 2) float32, (row, column) size of an image pixel.
        cached: images whose features are known already; None if nobody has looked.
    """

    images: Tensor
    extents: Tensor
    masks: Tensor
    object_valid: Tensor
    sample_keys: Tensor
    categories: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    sample_ids: tuple[str, ...]
    spacings: Tensor
    cached: Cached | None = None

    def __post_init__(self) -> None:
        if self.object_valid.ndim != 2:
            raise DataError(f"batch object_valid must be (B, N), is {tuple(self.object_valid.shape)}")
        count, objects = self.object_valid.shape
        side = self.images.shape[-1]
        fresh = count if self.cached is None else count - int(self.cached.found.sum())
        expected = {
            "images": (self.images, (fresh, 3, side, side), torch.float32),
            "extents": (self.extents, (count, 2), torch.float32),
            "masks": (self.masks, (count, objects, side, side), torch.bool),
            "object_valid": (self.object_valid, (count, objects), torch.bool),
            "sample_keys": (self.sample_keys, (count,), torch.int64),
            "spacings": (self.spacings, (count, 2), torch.float32),
        }
        names = (self.categories, self.groups, self.sample_ids)
        if any(len(values) != count for values in names):
            raise DataError(f"batch of {count} images has {[len(v) for v in names]} categories, groups and sample ids")
        for name, (tensor, shape, dtype) in expected.items():
            if tuple(tensor.shape) != shape or tensor.dtype != dtype:
                raise DataError(
                    f"batch {name} must be {shape} {dtype}, is {tuple(tensor.shape)} {tensor.dtype} "
                    f"(samples {', '.join(self.sample_ids)})"
                )
        if self.object_valid.device.type != "cpu":
            return  # checked where it was made; values on a GPU would have to be waited for
        without = [
            name for name, has in zip(self.sample_ids, self.object_valid.any(1).tolist(), strict=True) if not has
        ]
        if without:
            raise DataError(f"batch has images without a valid object: {', '.join(without)}")

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """The same batch on another device."""
        cached = self.cached and self.cached.moved(lambda value: value.to(device, non_blocking=non_blocking))
        return replace(
            self,
            cached=cached,
            images=self.images.to(device, non_blocking=non_blocking),
            extents=self.extents.to(device, non_blocking=non_blocking),
            masks=self.masks.to(device, non_blocking=non_blocking),
            object_valid=self.object_valid.to(device, non_blocking=non_blocking),
            sample_keys=self.sample_keys.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory; the data loader calls it before a copy to a GPU."""
        cached = self.cached and self.cached.moved(Tensor.pin_memory)
        return replace(self, images=self.images.pin_memory(), masks=self.masks.pin_memory(), cached=cached)
