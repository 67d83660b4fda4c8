"""Batches are the same whatever the workers, hold whole groups, and lie in the model frame."""

import io
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.utils.data import DataLoader

from adapt.datamodules import Case, SegmentationDataModule, Source, Splits, Store
from adapt.datamodules.batches import collate, to_batch
from adapt.datamodules.epoch_sampler import EpochSampler, Key
from adapt.datamodules.prepared_samples import PreparedSamples
from adapt.datamodules.store import open_or_make
from adapt.datamodules.transforms import Augmentation
from adapt.recipe import AugmentSettings, TrainerSettings
from adapt.samples import Batch, Sample, sample_key
from adapt.segmenters import SegmenterSpec

ROOT = Path(__file__).parents[2]
SPEC = SegmenterSpec(
    image_size=64, mask_size=16, pixel_mean=(100.0, 110.0, 120.0), pixel_std=(50.0, 60.0, 70.0), candidates=3, fit="pad"
)
AUGMENTATION = Augmentation(AugmentSettings(horizontal_flip=0.5, rotate=0.5, noise=1.0))
NO_AUGMENTATION = Augmentation(AugmentSettings())


def _sample(name: str, *, objects: int = 3, shape: tuple[int, int] = (40, 60), seed: int = 0) -> Sample:
    """Each object is a square of its own size and place."""
    random = np.random.default_rng([seed, len(name)])
    masks = np.zeros((objects, *shape), dtype=bool)
    for index in range(objects):
        top, left = (int(random.integers(0, side - 12)) for side in shape)
        masks[index, top : top + 6 + index % 6, left : left + 6 + index % 6] = True
    return Sample(
        image=random.integers(0, 256, (*shape, 3), dtype=np.uint8),
        masks=masks,
        categories=tuple(f"c{index}" for index in range(objects)),
        group=name.split("/")[0],
        spacing=(0.5, 0.7),
        spacing_unit="mm",
        sample_id=name,
        source="scan.nii",
    )


def _store(folder: Path, samples: Sequence[Sample]) -> Store:
    source = Source(inputs=[], cases=[lambda: Case(samples=list(samples), empty_images=0, small_objects=0)])
    return open_or_make(source, settings={}, cache=folder, console=Console(file=io.StringIO()))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    names = [f"p{patient}/{index}" for patient in range(4) for index in range(3)]
    samples = [_sample(name, objects=1 + row, seed=row) for row, name in enumerate(names)]
    return _store(tmp_path_factory.mktemp("store"), samples)


def _prepared(store: Store, *, objects: int = 4, seed: int = 0, augmented: bool = True) -> PreparedSamples:
    return PreparedSamples(store, SPEC, augmentation=AUGMENTATION if augmented else None, objects=objects, seed=seed)


def _assert_same(one: Batch, other: Batch) -> None:
    for name in ("images", "extents", "masks", "object_valid", "sample_keys", "spacings"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in ("categories", "groups", "sample_ids"):
        assert getattr(one, name) == getattr(other, name), name


def test_with_redraw_later_epochs_see_other_images_and_the_first_one_the_store(store: Store) -> None:
    def redraw(group: str, epoch: int) -> Sample:
        return _sample(f"{group}/new", objects=9, seed=epoch)

    redrawn = PreparedSamples(store, SPEC, augmentation=None, objects=4, seed=0, redraw=redraw)
    kept = _prepared(store, augmented=False)
    _assert_same(redrawn[0, 5], kept[0, 5])
    later = redrawn[2, 5]
    assert later.sample_ids == (f"{store.groups[5]}/new",)
    assert later.object_valid.sum() == 4
    _assert_same(redrawn[2, 5], later)
    assert not torch.equal(redrawn[3, 5].images, later.images)


# ------------------------------------------------------------------------------------------- sampler


def _epoch(sampler: EpochSampler, epoch: int) -> list[Key]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_row_comes_once_an_epoch_in_a_new_order() -> None:
    rows = [3, 5, 8, 13, 21, 34, 55, 89]
    sampler = EpochSampler(rows, seed=0, shuffle=True)
    orders = [_epoch(sampler, epoch) for epoch in range(5)]
    assert len(sampler) == len(rows)
    for epoch, keys in enumerate(orders):
        assert {key.epoch for key in keys} == {epoch}
        assert sorted(row for _, row, _ in keys) == rows
    assert len({tuple(row for _, row, _ in keys) for keys in orders}) == 5


def test_the_order_of_an_epoch_does_not_depend_on_the_ones_before() -> None:
    # So a run that resumes at epoch 3 sees what it would have seen.
    through = EpochSampler(range(50), seed=7, shuffle=True)
    keys = [_epoch(through, epoch) for epoch in range(4)][3]
    assert _epoch(EpochSampler(range(50), seed=7, shuffle=True), 3) == keys
    assert _epoch(EpochSampler(range(50), seed=8, shuffle=True), 3) != keys


def test_without_shuffling_every_epoch_is_alike() -> None:
    sampler = EpochSampler([4, 2, 9], seed=0, shuffle=False)
    assert _epoch(sampler, 0) == _epoch(sampler, 6) == [Key(0, 4), Key(0, 2), Key(0, 9)]


# --------------------------------------------------------------------------------------------- items


def test_items_do_not_depend_on_order_or_worker(store: Store) -> None:
    keys = [(epoch, row) for epoch in range(2) for row in range(len(store.rows))]
    forward = _prepared(store)
    expected = {key: forward[key] for key in keys}
    backward = _prepared(store)
    for key in keys[::-1]:
        _assert_same(backward[key], expected[key])
    loader = DataLoader(_prepared(store), batch_size=1, sampler=keys[5:], num_workers=2, collate_fn=collate)
    for key, item in zip(keys[5:], loader, strict=True):
        _assert_same(item, expected[key])


def test_epoch_and_seed_change_an_item(store: Store) -> None:
    first = _prepared(store)[(0, 2)].images
    assert not torch.equal(_prepared(store)[(1, 2)].images, first)
    assert not torch.equal(_prepared(store, seed=1)[(0, 2)].images, first)


def test_an_item_has_so_many_objects_at_most(store: Store) -> None:
    items = _prepared(store, objects=4, augmented=False)
    for row in range(len(store.rows)):
        item = items[(0, row)]
        assert item.object_valid.shape[1] == min(4, row + 1)
        assert len(item.categories[0]) == min(4, row + 1)


def test_chosen_objects_differ_by_epoch_and_keep_their_category(store: Store) -> None:
    items = _prepared(store, objects=4, augmented=False)
    sample = store.sample(11)
    whole = to_batch(sample, SPEC)
    seen = set()
    for epoch in range(20):
        item = items[(epoch, 11)]
        numbers = [int(name[1:]) for name in item.categories[0]]
        assert numbers == sorted(set(numbers))
        assert torch.equal(item.masks[0], whole.masks[0, numbers])
        seen.update(numbers)
    assert seen == set(range(12))  # over the epochs every object gets its turn


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (200, 150), (64, 64)])
def test_image_and_masks_lie_on_the_same_pixels(shape: tuple[int, int]) -> None:
    mask = np.zeros((1, *shape), dtype=bool)
    mask[0, shape[0] // 3 : shape[0] * 5 // 6, shape[1] // 8 : shape[1] // 2] = True
    image = np.repeat(mask[0][..., None], 3, axis=2).astype(np.uint8) * 255
    batch = to_batch(replace(_sample("p/0", objects=1, shape=shape), image=image, masks=mask), SPEC)
    mean, std = (torch.tensor(values)[:, None, None] for values in (SPEC.pixel_mean, SPEC.pixel_std))
    width, height = batch.extents[0].int().tolist()
    assert max(width, height) == 64
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.02)
    pixels = (batch.images[0] * std + mean)[0, :height, :width]
    bright = pixels > 127
    target = batch.masks[0, 0, :height, :width]
    # Edges may round by half a pixel; a shift by a whole one would leave less than 0.9.
    assert (bright & target).sum() / (bright | target).sum() > 0.92
    assert not batch.images[0, :, height:].any()  # padding is zero after normalisation
    assert not batch.images[0, :, :, width:].any()
    assert not batch.masks[0, :, height:].any()


def test_pixels_are_normalised_by_the_model() -> None:
    image = np.full((64, 64, 3), (200, 50, 120), dtype=np.uint8)
    sample = replace(_sample("p/0", objects=1, shape=(64, 64)), image=image)
    batch = to_batch(sample, SPEC)
    assert batch.images[0, :, 30, 30].tolist() == pytest.approx([2.0, -1.0, 0.0])  # (value - mean) / std


def test_a_batch_carries_what_is_known_of_the_sample(store: Store) -> None:
    item = _prepared(store)[(0, 4)]
    sample = store.sample(4)
    assert item.sample_ids == (sample.sample_id,)
    assert item.groups == ("p1",)
    assert item.sample_keys.tolist() == [sample_key(sample.sample_id)]
    assert item.spacings[0].tolist() == pytest.approx([0.5, 0.7])


def _line(shape: tuple[int, int], row: int) -> np.ndarray:
    line = np.zeros(shape, dtype=bool)
    line[row, 10 : shape[1] - 10] = True
    return line


@pytest.mark.parametrize("row", [0, 1, 1500, 1501, 1507, 2998, 2999])
def test_an_object_thinner_than_a_model_pixel_still_trains(row: int) -> None:
    # 3000 pixels become 256: a line of one pixel falls between the pixels that are kept, most of the time.
    spec = replace(SPEC, image_size=256, mask_size=64)
    shape = (3000, 3000)
    sample = Sample(
        np.zeros((*shape, 3), np.uint8), _line(shape, row)[None], ("a",), "g", (1.0, 1.0), "px", "id", "source"
    )
    batch = to_batch(sample, spec)
    assert batch.object_valid.tolist() == [[True]]
    rows, columns = (index.float() for index in torch.nonzero(batch.masks[0, 0], as_tuple=True))
    assert rows.mean().item() == pytest.approx((row + 0.5) * 256 / 3000 - 0.5, abs=0.51)
    assert columns.mean().item() == pytest.approx(127.5, abs=1)


def test_a_thin_object_beside_a_thick_one_is_not_valid() -> None:
    spec = replace(SPEC, image_size=256, mask_size=64)
    shape = (3000, 3000)
    thick = np.zeros(shape, dtype=bool)
    thick[1000:2000, 500:900] = True
    masks = np.stack([_line(shape, 1500), thick])
    sample = Sample(np.zeros((*shape, 3), np.uint8), masks, ("a", "b"), "g", (1.0, 1.0), "px", "id", "source")
    batch = to_batch(sample, spec)
    assert batch.object_valid.tolist() == [[False, True]]


def test_images_with_fewer_objects_get_padding_that_is_not_valid(store: Store) -> None:
    items = [_prepared(store, augmented=False)[(0, row)] for row in (0, 2, 1)]
    batch = collate(items)
    assert batch.object_valid.tolist() == [[True, False, False], [True, True, True], [True, True, False]]
    assert not batch.masks[0, 1:].any()
    for index, item in enumerate(items):
        count = item.masks.shape[1]
        assert torch.equal(batch.masks[index, :count], item.masks[0])
        assert torch.equal(batch.images[index], item.images[0])
    assert batch.sample_ids == ("p0/0", "p0/2", "p0/1")
    assert [len(names) for names in batch.categories] == [1, 3, 2]


# ---------------------------------------------------------------------------------------- datamodule


def _datamodule(store: Store, splits: Splits, **settings: int) -> SegmentationDataModule:
    return SegmentationDataModule(
        store,
        splits,
        SPEC,
        augmentation=NO_AUGMENTATION,
        settings=TrainerSettings(**({"batch_size": 2, "workers": 0} | settings)),
        seed=0,
        pin_memory=False,
    )


def _groups(loader: DataLoader[Batch]) -> list[str]:
    return [group for batch in loader for group in batch.groups]


SPLITS = Splits(train=("p0", "p2"), validation=("p1",), test=("p3",))


def test_no_group_is_in_two_splits(store: Store) -> None:
    module = _datamodule(store, SPLITS)
    train, validation = module.train_dataloader(), module.val_dataloader()
    assert isinstance(validation, DataLoader)
    assert sorted(_groups(train)) == ["p0"] * 3 + ["p2"] * 3
    assert _groups(validation) == ["p1"] * 3
    assert [store.groups[row] for row in module.test_samples()] == ["p3"] * 3


def test_training_is_shuffled_and_validation_is_not(store: Store) -> None:
    module = _datamodule(store, replace(SPLITS, train=("p0", "p2", "p3")))
    orders = []
    for epoch in range(3):
        loader = module.train_dataloader()
        loader.sampler.set_epoch(epoch)
        orders.append([name for batch in loader for name in batch.sample_ids])
    assert len({tuple(order) for order in orders}) == 3
    validation = module.val_dataloader()
    assert [name for batch in validation for name in batch.sample_ids] == ["p1/0", "p1/1", "p1/2"]


def test_validation_is_never_augmented(store: Store) -> None:
    module = SegmentationDataModule(
        store,
        SPLITS,
        SPEC,
        augmentation=AUGMENTATION,
        settings=TrainerSettings(batch_size=1, workers=0),
        seed=0,
        pin_memory=False,
    )
    plain = _prepared(store, objects=8, augmented=False)
    for row, batch in zip(module.rows(["p1"]), module.val_dataloader(), strict=True):
        _assert_same(batch, plain[(0, row)])
    assert not torch.equal(next(iter(module.train_dataloader())).images, plain[(0, 0)].images)


def test_without_validation_groups_there_is_no_loader(store: Store) -> None:
    assert _datamodule(store, replace(SPLITS, validation=())).val_dataloader() == []


def test_batches_are_the_same_with_workers(store: Store) -> None:
    none, two = (_datamodule(store, SPLITS, workers=workers).train_dataloader() for workers in (0, 2))
    for one, other in zip(none, two, strict=True):
        _assert_same(one, other)


@pytest.mark.parametrize("name", ["datamodules", "callbacks"])
def test_a_module_under_two_names_is_refused(name: str) -> None:
    # The folders lie at the root and are linked into the package.
    result = subprocess.run(
        [sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert f"ImportError: import adapt.{name}, not {name}" in result.stderr
