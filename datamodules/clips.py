"""Clips: slices of a volume or frames of a time series that follow one another, with the same objects in all of them.

What is said of slices and volumes is meant of frames and series as well. A volume's stored slices are cut into blocks
of a clip's length; each is a clip of an epoch. In training the clip begins anywhere in its block, and goes up or down;
where slices end, it is cut short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from adapt.datamodules.batches import collate_for_main_process, to_batch
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.prepared_samples import AUGMENTATION, OBJECTS
from adapt.datamodules.store import Store
from adapt.datamodules.transforms import Augmentation, large_enough
from adapt.errors import DataError
from adapt.features import FeatureReader
from adapt.frames import masks_to_model_frame
from adapt.samples import Batch, Sample, sample_key, with_objects
from adapt.segmenters import SegmenterSpec

PLACE = 2
"""What a random stream of a clip is for, beside those of an item."""
Masks = npt.NDArray[np.bool_]


def runs_of(store: Store) -> list[list[int]]:
    """Rows of slices that follow one another without a gap, by volume.

    Raises:
        DataError: images that are no slices, or no two that follow one another.
    """
    places = store.rows["slice_of"][:]
    if any(place is None for place in places):
        raise DataError(
            "clips.length above 1 needs images that are slices of volumes or frames of time series, in their order, "
            "and these data are single images: set clips.length to 1, use data of kind medical, or of microscopy with "
            "several points in time set data.time=all"
        )
    volumes: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, (group, place) in enumerate(zip(store.groups, places, strict=True)):
        volumes.setdefault((group, place["volume"]), []).append((place["index"], row))
    runs: list[list[int]] = []
    for slices in volumes.values():
        last: int | None = None
        for index, row in sorted(slices):
            if last is None or index != last + 1:
                runs.append([])
            runs[-1].append(row)
            last = index
    if all(len(run) == 1 for run in runs):
        raise DataError("clips.length above 1, but no two slices with an object follow one another; set it to 1")
    return runs


def continued(before: Masks, first: Sample, after: Sample, *, by_category: bool) -> Masks:
    """Objects of a slice as they are in the next one; empty where one has ended.

    Args:
        before: (N, H, W) bool.
        first: of the clip, with these objects: their N categories, and tracks if there are.
        after: the next slice, with all its objects.
        by_category: of objects without a track: an object is all that has its category; else what of the category
            touches it, as a region in three dimensions does: pixels on top of one another, or diagonally so.

    Returns:
        (N, H, W) bool.
    """
    if first.tracks:
        places = {track: place for place, track in enumerate(after.tracks)}
        gone = np.zeros(before.shape[1:], dtype=bool)
        return np.stack([after.masks[places[track]] if track in places else gone for track in first.tracks])
    return _continued_by_place(before, first.categories, after, by_category=by_category)


def _continued_by_place(before: Masks, categories: Sequence[str], after: Sample, *, by_category: bool) -> Masks:
    found = np.zeros_like(before)
    for number, category in enumerate(categories):
        same = after.masks[[name == category for name in after.categories]]
        if not by_category:
            reach = _grown(before[number])
            same = same[(same & reach).any(axis=(1, 2))]
        found[number] = same.any(axis=0)
    return found


def _grown(mask: Masks) -> Masks:
    """A mask and the eight neighbours of its pixels."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    shifted = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    grown: Masks = np.any(shifted, axis=0)
    return grown


@dataclass(frozen=True)
class Place:
    """Where a clip may lie: a run of slices, and the block of it that the clip stands for."""

    run: tuple[int, ...]
    start: int


class ClipSamples(Dataset[list[Batch]]):
    """From the key of a block's first row to its clip: a batch of one image for each frame."""

    def __init__(
        self,
        store: Store,
        spec: SegmenterSpec,
        places: dict[int, Place],
        *,
        length: int,
        by_category: bool,
        augmentation: Augmentation | None,
        objects: int,
        seed: int,
        features: FeatureReader | None,
    ) -> None:
        self._store, self._spec, self._places = store, spec, places
        self._length, self._by_category, self._augmentation = length, by_category, augmentation
        self._objects, self._seed, self._features = objects, seed, features

    def __getitem__(self, key: Key) -> list[Batch]:
        epoch, row, counted = Key(*key)
        place = self._places[row]
        samples = [self._store.sample(of_frame) for of_frame in self._rows(place, epoch, row)]
        first = self._chosen(samples[0], epoch)
        masks = [first.masks]
        for sample in samples[1:]:
            masks.append(continued(masks[-1], first, sample, by_category=self._by_category))
        images = [sample.image for sample in samples]
        kept = np.ones(len(first.masks), dtype=bool)
        if self._augmentation is not None:
            volume = first.slice_of[0] if first.slice_of else first.sample_id
            view = epoch if self._features is None else epoch % self._features.views
            random = np.random.default_rng([self._seed, view, sample_key(volume), AUGMENTATION])
            seed = int(random.integers(2**31))  # that of the volume: all its slices are turned alike, and cached once
            changed = [self._augmentation.apply(*pair, seed=seed) for pair in zip(images, masks, strict=True)]
            large = large_enough(masks[0], changed[0][1])
            if large.any():  # else the clip stays as it is
                kept, images, masks = large, [image for image, _ in changed], [found for _, found in changed]
        first = replace(with_objects(first, kept.nonzero()[0]), image=images[0], masks=masks[0][kept])
        begun = self._frame(first, counted=counted)
        clip = [begun]
        for sample, image, of_frame in zip(samples[1:], images[1:], masks[1:], strict=True):
            placed = masks_to_model_frame(of_frame[kept], size=self._spec.image_size, fit=self._spec.fit)
            # what its own objects are does not matter
            own = self._frame(replace(first, image=image, sample_id=sample.sample_id), counted=counted)
            clip.append(replace(own, masks=torch.from_numpy(placed)[None], object_valid=begun.object_valid))
        while len(clip) < self._length:  # nothing follows, so that the last frame stands again, and does not count
            clip.append(replace(clip[-1], counted=torch.tensor([False])))
        return clip

    def _rows(self, place: Place, epoch: int, row: int) -> list[int]:
        """Of the frames: as they lie in the block, or in training from anywhere in it, up or down."""
        run, first = place.run, place.start
        if self._augmentation is None:
            return list(run[first : first + self._length])
        random = np.random.default_rng([self._seed, epoch, row, PLACE])
        first += int(random.integers(min(self._length, len(run) - first)))
        upwards, downwards = run[first : first + self._length], run[first::-1][: self._length]
        longer = max(upwards, downwards, key=len)
        if min(len(upwards), len(downwards)) == 1:
            return list(longer)
        return list(upwards if random.random() < 0.5 else downwards)

    def _chosen(self, sample: Sample, epoch: int) -> Sample:
        """At most so many objects, as single images have them."""
        count = len(sample.masks)
        if count <= self._objects:
            return sample
        random = np.random.default_rng([self._seed, epoch, sample_key(sample.sample_id), OBJECTS])
        return with_objects(sample, np.sort(random.choice(count, size=self._objects, replace=False)))

    def _frame(self, sample: Sample, *, counted: bool) -> Batch:
        cached = None if self._features is None else self._features.look_up(sample.image)
        return to_batch(sample, self._spec, cached=cached, counted=counted)


class ClipData:
    """See `ClipLoading`."""

    def __init__(
        self, store: Store, spec: SegmenterSpec, *, length: int, by_category: bool, objects: int, seed: int
    ) -> None:
        """Clips of a store.

        Args:
            store: of slices.
            spec: of the segmenter.
            length: frames of a clip.
            by_category: see `continued`.
            objects: of a clip, at most.
            seed: of the run.

        Raises:
            DataError: see `runs_of`.
        """
        self._store, self._spec, self._length = store, spec, length
        self._by_category, self._objects, self._seed = by_category, objects, seed
        self._places = {
            run[start]: Place(tuple(run), start)
            for run in runs_of(store)
            if len(run) > 1
            for start in range(0, len(run), length)
        }

    def starts(self, rows: Sequence[int]) -> list[int]:
        """See `ClipLoading.starts`.

        Raises:
            DataError: there are none.
        """
        found = [row for row in rows if row in self._places]
        if rows and not found:
            raise DataError("clips.length above 1, but a split has no two slices that follow one another; set it to 1")
        return found

    def samples(self, *, augmentation: Augmentation | None, features: FeatureReader | None) -> ClipSamples:
        """See `ClipLoading.samples`."""
        return ClipSamples(
            self._store,
            self._spec,
            self._places,
            length=self._length,
            by_category=self._by_category,
            augmentation=augmentation,
            objects=self._objects,
            seed=self._seed,
            features=features,
        )

    def collate(self, items: Sequence[list[Batch]]) -> Batch:
        """See `ClipLoading.collate`."""
        return replace(collate_for_main_process([frame for clip in items for frame in clip]), frames=self._length)
