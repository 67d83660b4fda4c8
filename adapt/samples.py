"""What travels from data to model: a `Sample` in the image frame, a `Batch` in the model frame."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
        slice_of: name of the volume or time series that the image is a slice or frame of, its index there, and the
            distance between neighbouring slices in `spacing_unit`, None where there is none; None for an image that
            is none.
        weights: of each object in the loss, 0 or more; empty means 1 each.
        tracks: of each object a number, the same in all slices or frames that show it; empty where nobody says.
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
    slice_of: tuple[str, int, float | None] | None = None
    weights: tuple[float, ...] = ()
    tracks: tuple[int, ...] = ()

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
        if len(self.weights) not in (0, len(self.masks)):
            raise DataError(f"{self.sample_id}: {len(self.masks)} masks but {len(self.weights)} weights")
        if self.tracks and not len(self.tracks) == len(set(self.tracks)) == len(self.masks):
            raise DataError(f"{self.sample_id}: {len(self.masks)} masks but the tracks {self.tracks}")
        if not len(self.masks) or not self.masks.any(axis=(1, 2)).all():
            raise DataError(f"{self.sample_id}: has no object, or an object without a pixel")


def with_objects(sample: Sample, chosen: npt.NDArray[np.int64]) -> Sample:
    """The sample with only some of its objects, in the order in which their indices are given."""
    return replace(
        sample,
        masks=sample.masks[chosen],
        categories=tuple(sample.categories[index] for index in chosen),
        cut=tuple(sample.cut[index] for index in chosen) if sample.cut else (),
        weights=tuple(sample.weights[index] for index in chosen) if sample.weights else (),
        tracks=tuple(sample.tracks[index] for index in chosen) if sample.tracks else (),
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
        counted: (B,) bool; False marks images that another process trains on, and that weigh nothing here. All count
            if it is not given.
        weights: (B, N) float32, of each object in the loss; 1 each if it is not given.
        frames: images of a clip, which lie one behind the other, with the same objects: those of the first one, whose
            masks may be empty in others. 1 if images do not belong together.
        embeddings: (B, N, 3, D) float32 of CLIP: of each object alone, with what is around it, and of its category's
            name; None in runs that are not prompted by them.
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
    counted: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.bool))
    weights: Tensor = field(default_factory=lambda: torch.empty(0))
    frames: int = 1
    embeddings: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.sample_ids) % self.frames:
            raise DataError(f"batch of {len(self.sample_ids)} images has no whole clips of {self.frames}")
        if not len(self.counted):
            object.__setattr__(self, "counted", torch.ones_like(self.sample_keys, dtype=torch.bool))
        if not len(self.weights):
            object.__setattr__(self, "weights", torch.ones_like(self.object_valid, dtype=torch.float32))
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
            "counted": (self.counted, (count,), torch.bool),
            "weights": (self.weights, (count, objects), torch.float32),
        }
        if self.embeddings is not None:
            width = self.embeddings.shape[-1]
            expected["embeddings"] = (self.embeddings, (count, objects, 3, width), torch.float32)
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

    @property
    def weighed(self) -> Tensor:
        """(B, N) bool, the objects that training learns from: valid, and of an image that counts."""
        return self.object_valid & self.counted[:, None]

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
            counted=self.counted.to(device, non_blocking=non_blocking),
            weights=self.weights.to(device, non_blocking=non_blocking),
            embeddings=None if self.embeddings is None else self.embeddings.to(device, non_blocking=non_blocking),
        )

    def share_memory(self) -> "Batch":
        """The same batch, its tensors moved to where other processes can map them.

        Raises:
            RuntimeError: there is no room, as in a container with a small /dev/shm.
        """
        of_cached = () if self.cached is None else (self.cached.found, *self.cached.hidden)
        for value in (*vars(self).values(), *of_cached):  # all: one left out would be moved later, unseen
            if isinstance(value, Tensor):
                value.share_memory_()
        return self

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory; the data loader calls it before a copy to a GPU."""
        cached = self.cached and self.cached.moved(Tensor.pin_memory)
        return replace(self, images=self.images.pin_memory(), masks=self.masks.pin_memory(), cached=cached)
