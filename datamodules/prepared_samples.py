"""Items of a store as a model reads them: everything random about one is decided by its key."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from adapt.class_maps import by_class
from adapt.datamodules.batches import to_batch
from adapt.datamodules.embeddings import ObjectEmbeddings
from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.store import Store
from adapt.datamodules.transforms import Augmentation
from adapt.features import FeatureReader
from adapt.samples import Batch, Sample, sample_key, with_objects
from adapt.segmenters import SegmenterSpec

Redraw = Callable[[str, int], Sample]
"""From the group of an image, and an epoch, to another image in its place; for data that is drawn, not read."""
OBJECTS, AUGMENTATION = 0, 1
"""What a random stream of an item is for."""


class PreparedSamples(Dataset[Batch]):
    """Items of a store in the model frame: augmented, at most so many objects, resized and padded.

    With `redraw`, the images of the first epoch are the store's and those of every later one are drawn anew. With
    `features`, an image whose frozen features are cached comes as these, and is augmented in one of `features.views`
    ways only, so that it comes again. With `classes`, objects become one mask a class.
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
        classes: Sequence[str] = (),
        embeddings: ObjectEmbeddings | None = None,
    ) -> None:
        self._classes, self._embeddings = classes, embeddings
        self._store, self._spec, self._augmentation = store, spec, augmentation
        self._objects, self._seed, self._redraw, self._features = objects, seed, redraw, features

    def __getitem__(self, key: Key) -> Batch:
        epoch, row, counted = Key(*key)
        kept = np.arange(0)

        def choose(sample_id: str, count: int) -> npt.NDArray[np.int64]:
            nonlocal kept
            kept = np.arange(count)
            if count > self._objects and not self._classes:
                random = np.random.default_rng([self._seed, epoch, sample_key(sample_id), OBJECTS])
                kept = np.sort(random.choice(count, size=self._objects, replace=False))
            return kept

        if self._redraw is not None and epoch:
            sample = self._redraw(self._store.groups[row], epoch)
            sample = with_objects(sample, choose(sample.sample_id, len(sample.masks)))
        else:
            sample = self._store.sample(row, choose=choose)
        if self._classes:
            sample = by_class(sample, self._classes)
        if self._augmentation is not None:
            view = epoch if self._features is None else epoch % self._features.views
            random = np.random.default_rng([self._seed, view, sample_key(sample.sample_id), AUGMENTATION])
            sample = self._augmentation(sample, seed=int(random.integers(2**31)))
        cached = None if self._features is None else self._features.look_up(sample.image)
        embeddings = None if self._embeddings is None else self._embeddings.of(row, kept)
        return to_batch(sample, self._spec, cached=cached, counted=counted, embeddings=embeddings)
