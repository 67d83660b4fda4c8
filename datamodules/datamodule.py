"""From a store to batches: the one Lightning datamodule, whatever the domain."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import lightning
import torch
from torch.utils.data import DataLoader, Dataset

from adapt.datamodules.batches import collate_for_main_process
from adapt.datamodules.embeddings import ObjectEmbeddings
from adapt.datamodules.epoch_sampler import EpochSampler, Limit
from adapt.datamodules.prepared_samples import PreparedSamples, Redraw
from adapt.datamodules.splits import Splits
from adapt.datamodules.store import Store
from adapt.datamodules.transforms import Augmentation
from adapt.errors import DataError
from adapt.features import FeatureReader
from adapt.processes.signals import leave_signals_to_the_main_process
from adapt.recipe import TrainerSettings
from adapt.samples import Batch
from adapt.segmenters import SegmenterSpec


class ClipLoading(Protocol):
    """What loads clips in place of single images; see `adapt.datamodules.clips`."""

    def starts(self, rows: Sequence[int]) -> list[int]:
        """The rows that stand for the clips of some rows."""
        ...

    def samples(self, *, augmentation: Augmentation | None, features: FeatureReader | None) -> Dataset[Any]:
        """From the key of such a row to a clip; with augmentation, clips lie elsewhere in each epoch."""
        ...

    def collate(self, items: Sequence[Any]) -> Batch:
        """Clips, joined."""
        ...


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
        classes: Sequence[str] = (),
        clips: ClipLoading | None = None,
        embeddings: ObjectEmbeddings | None = None,
    ) -> None:
        super().__init__()
        self._classes, self._embeddings = classes, embeddings
        self._pin_memory, self._redraw, self._features, self._clips = pin_memory, redraw, features, clips
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

    def starts(self, groups: Sequence[str]) -> list[int]:
        """What an epoch passes over: all rows of some groups, or where their clips begin."""
        rows = self.rows(groups)
        return rows if self._clips is None else self._clips.starts(rows)

    def test_samples(self) -> list[int]:
        """Rows of the test split, for `store.sample`.

        Raises:
            DataError: there are none.
        """
        rows = self.rows(self.splits.test)
        if not rows:
            raise DataError("the test split has no image with an object; set split.test_groups to groups with some")
        return rows

    def _loader(self, groups: Sequence[str], *, train: bool) -> DataLoader[Batch]:
        """Of what training and validation pass over: images, or clips."""
        augmentation = self._augmentation if train else None
        if self._clips is not None:
            clips = self._clips.samples(augmentation=augmentation, features=self._features)
            return self._loader_of(clips, self.starts(groups), train=train, collate=self._clips.collate)
        return self._image_loader(self.rows(groups), train=train)

    def _image_loader(self, rows: list[int], *, train: bool) -> DataLoader[Batch]:
        images = PreparedSamples(
            self.store,
            self._spec,
            augmentation=self._augmentation if train else None,
            objects=self._settings.objects_per_image,
            seed=self._seed,
            redraw=self._redraw if train else None,
            features=self._features,
            classes=self._classes,
            embeddings=self._embeddings,
        )
        return self._loader_of(images, rows, train=train, collate=collate_for_main_process)

    def _loader_of(
        self, samples: Dataset[Any], rows: list[int], *, train: bool, collate: Callable[[Any], Batch]
    ) -> DataLoader[Batch]:
        settings = self._settings
        return DataLoader(
            samples,
            batch_size=settings.batch_size,
            sampler=self._sampler(rows, start=self._start)
            if train
            else EpochSampler(rows, seed=self._seed, shuffle=False),
            num_workers=settings.workers,
            timeout=settings.loader_timeout if settings.workers else 0,
            worker_init_fn=leave_signals_to_the_main_process,
            collate_fn=collate,
            pin_memory=self._pin_memory,
            persistent_workers=settings.workers > 0,
        )

    def _sampler(self, rows: list[int], *, start: tuple[int, int]) -> EpochSampler:
        """Of training: `trainer.max_steps` is its end."""
        settings = self._settings
        limit = Limit(settings.max_steps, settings.batch_size * settings.accumulate) if settings.max_steps else None
        return EpochSampler(rows, seed=self._seed, shuffle=True, start=start, limit=limit)

    def train_batches(self, epoch: int) -> int:
        """Batches that a process has of an epoch; the last one may be cut short."""
        sampler = self._sampler(self.starts(self.splits.train), start=(epoch, 0))
        return math.ceil(len(sampler) / self._settings.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Augmented batches in a new order each epoch."""
        return self._loader(self.splits.train, train=True)

    def val_dataloader(self) -> list[DataLoader[Batch]] | DataLoader[Batch]:
        """Batches as they are, always in the same order; none without validation groups."""
        return self._loader(self.splits.validation, train=False) if self.rows(self.splits.validation) else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of images of the test split as they are, always in the same order."""
        return self._image_loader(self.test_samples(), train=False)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """A batch is frozen, so it moves itself."""
        return batch.to(device, non_blocking=True)
