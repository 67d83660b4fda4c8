"""From a store to batches: the one Lightning datamodule, whatever the domain."""

from collections.abc import Callable, Iterator, Sequence

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from adapt.datamodules.splits import Splits
from adapt.datamodules.store import Store
from adapt.datamodules.transforms import Augmentation
from adapt.errors import DataError
from adapt.features import FeatureReader
from adapt.frames import Frame, image_to_model_frame, masks_to_model_frame
from adapt.recipe import TrainerSettings
from adapt.samples import Batch, Cached, Sample, sample_key, with_objects
from adapt.segmenters import SegmenterSpec
from adapt.signals import leave_signals_to_the_main_process

Key = tuple[int, int]
"""(epoch, row of the store): everything random about an item derives from it and the seed."""

Redraw = Callable[[str, int], Sample]
"""From the group of an image, and an epoch, to another image in its place; for data that is drawn, not read."""

OBJECTS, AUGMENTATION = 0, 1
"""What a random stream of an item is for."""


def dealt(order: Sequence[int], *, process: int, processes: int) -> list[int]:
    """What one of several processes takes of an order: every so-manieth entry.

    All take as many, or they would wait for one another for ever: at the end entries come again, from the first one.
    Training sees these twice in an epoch; metrics tell samples apart by their keys, and count them once.
    """
    wanted = -(-len(order) // processes) * processes
    return [order[place % len(order)] for place in range(process, wanted, processes)]


class EpochSampler(Sampler[Key]):
    """Rows of a split as (epoch, row) keys, in an order that seed and epoch decide, dealt out to the processes."""

    def __init__(self, rows: Sequence[int], *, seed: int, shuffle: bool, start: tuple[int, int] = (0, 0)) -> None:
        """Go on from an epoch, of which a process has had so many rows already."""
        self._rows, self._seed, self.shuffle = list(rows), seed, shuffle
        self._start, self._epoch = start, start[0]

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._own(self._rows))

    def __iter__(self) -> Iterator[Key]:
        if not self.shuffle:
            return iter([(0, row) for row in self._own(self._rows)])
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._rows).tolist()
        begun, done = self._start
        return iter([(self._epoch, row) for row in self._own(order)[done if self._epoch == begun else 0 :]])

    def _own(self, order: Sequence[int]) -> list[int]:
        """Of this process, as torch.distributed knows it by then; the sampler may be older than the processes."""
        if not distributed.is_available() or not distributed.is_initialized():
            return list(order)
        return dealt(order, process=distributed.get_rank(), processes=distributed.get_world_size())


class PreparedSamples(Dataset[Batch]):
    """Items of a store in the model frame: augmented, at most so many objects, resized and padded.

    With `redraw`, the images of the first epoch are the store's and those of every later one are drawn anew. With
    `features`, an image whose frozen features are cached comes as these, and is augmented in one of `features.views`
    ways only, so that it comes again.
    """

    def __init__(
        self,
        store: Store,
        spec: SegmenterSpec,
        *,
        augmentation: Augmentation | None,
        objects: int,
        seed: int,
        redraw: Redraw | None = None,
        features: FeatureReader | None = None,
    ) -> None:
        self._store, self._spec, self._augmentation = store, spec, augmentation
        self._objects, self._seed, self._redraw, self._features = objects, seed, redraw, features

    def __getitem__(self, key: Key) -> Batch:
        epoch, row = key

        def choose(sample_id: str, count: int) -> npt.NDArray[np.int64]:
            if count <= self._objects:
                return np.arange(count)
            random = np.random.default_rng([self._seed, epoch, sample_key(sample_id), OBJECTS])
            return np.sort(random.choice(count, size=self._objects, replace=False))

        if self._redraw is not None and epoch:
            sample = self._redraw(self._store.groups[row], epoch)
            sample = with_objects(sample, choose(sample.sample_id, len(sample.masks)))
        else:
            sample = self._store.sample(row, choose=choose)
        if self._augmentation is not None:
            view = epoch if self._features is None else epoch % self._features.views
            random = np.random.default_rng([self._seed, view, sample_key(sample.sample_id), AUGMENTATION])
            sample = self._augmentation(sample, seed=int(random.integers(2**31)))
        cached = None if self._features is None else self._features.look_up(sample.image)
        return to_batch(sample, self._spec, cached=cached)


def to_batch(sample: Sample, spec: SegmenterSpec, *, cached: Cached | None = None) -> Batch:
    """A batch of one: the sample in the model frame, without its pixels if `cached` has their features.

    An object too thin for the model's pixels is not valid there, unless all are: then the first keeps the
    pixel at its mean position, since each image of a batch has a valid object.
    """
    frame = Frame(sample.image.shape[0], sample.image.shape[1], spec.image_size)
    masks = torch.from_numpy(masks_to_model_frame(sample.masks, size=spec.image_size))
    valid = masks.flatten(1).any(1)
    if not valid.any():
        rows, columns = np.nonzero(sample.masks[0])
        scale_x, scale_y = frame.scale
        masks[0, int((rows.mean() + 0.5) * scale_y), int((columns.mean() + 0.5) * scale_x)] = True
        valid[0] = True
    height, width = frame.resized
    known = cached is not None and bool(cached.found.all())
    images = (
        torch.empty(0, 3, spec.image_size, spec.image_size)
        if known
        else image_to_model_frame(sample.image, size=spec.image_size, mean=spec.pixel_mean, std=spec.pixel_std)[None]
    )
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
    )


def collate(items: Sequence[Batch]) -> Batch:
    """Batches of one, joined; images with fewer objects get padding objects, marked invalid."""
    objects = max(item.object_valid.shape[1] for item in items)
    side = items[0].masks.shape[-1]
    masks = torch.zeros(len(items), objects, side, side, dtype=torch.bool)
    valid = torch.zeros(len(items), objects, dtype=torch.bool)
    for index, item in enumerate(items):
        count = item.object_valid.shape[1]
        masks[index, :count], valid[index, :count] = item.masks[0], item.object_valid[0]
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
    )


def _joined(parts: Sequence[Cached]) -> Cached | None:
    """What is known of each image, as of all; None if nobody has looked."""
    if not parts:
        return None
    return Cached(
        keys=tuple(key for part in parts for key in part.keys),
        found=torch.cat([part.found for part in parts]),
        hidden=tuple(torch.cat(values) for values in zip(*(part.hidden for part in parts if part.hidden), strict=True)),
    )


class SegmentationDataModule(lightning.LightningDataModule):
    """Batches for training and validation, samples for evaluation, of one store split by group."""

    def __init__(
        self,
        store: Store,
        splits: Splits,
        spec: SegmenterSpec,
        *,
        augmentation: Augmentation,
        settings: TrainerSettings,
        seed: int,
        pin_memory: bool,
        redraw: Redraw | None = None,
        features: FeatureReader | None = None,
    ) -> None:
        super().__init__()
        self._pin_memory, self._redraw, self._features = pin_memory, redraw, features
        self.store, self.splits = store, splits
        self._spec, self._augmentation, self._settings, self._seed = spec, augmentation, settings, seed
        self._start = (0, 0)

    def resume_at(self, epoch: int, *, batches: int) -> None:
        """Begin training at an epoch, of which so many batches are done."""
        self._start = (epoch, batches * self._settings.batch_size)

    def rows(self, groups: Sequence[str]) -> list[int]:
        """Rows of the store that belong to some groups."""
        wanted = set(groups)
        return [row for row, group in enumerate(self.store.groups) if group in wanted]

    def test_samples(self) -> list[int]:
        """Rows of the test split, for `store.sample`.

        Raises:
            DataError: there are none.
        """
        rows = self.rows(self.splits.test)
        if not rows:
            raise DataError("the test split has no image with an object; set split.test_groups to groups with some")
        return rows

    def _loader(self, rows: list[int], *, train: bool) -> DataLoader[Batch]:
        settings = self._settings
        return DataLoader(
            PreparedSamples(
                self.store,
                self._spec,
                augmentation=self._augmentation if train else None,
                objects=settings.objects_per_image,
                seed=self._seed,
                redraw=self._redraw if train else None,
                features=self._features,
            ),
            batch_size=settings.batch_size,
            sampler=EpochSampler(rows, seed=self._seed, shuffle=train, start=self._start if train else (0, 0)),
            num_workers=settings.workers,
            timeout=settings.loader_timeout if settings.workers else 0,
            worker_init_fn=leave_signals_to_the_main_process,
            collate_fn=collate,
            pin_memory=self._pin_memory,
            persistent_workers=settings.workers > 0,
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Augmented batches in a new order each epoch."""
        return self._loader(self.rows(self.splits.train), train=True)

    def val_dataloader(self) -> list[DataLoader[Batch]] | DataLoader[Batch]:
        """Batches as they are, always in the same order; none without validation groups."""
        rows = self.rows(self.splits.validation)
        return self._loader(rows, train=False) if rows else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test split as they are, always in the same order."""
        return self._loader(self.test_samples(), train=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """A batch is frozen, so it moves itself."""
        return batch.to(device, non_blocking=True)
