"""Synthetic images as data of a recipe: prepared once for the first epoch, drawn anew for the others."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from adapt import build
from adapt.datamodules import SegmentationDataModule
from adapt.datamodules.synthetic import redraw
from adapt.recipe import Recipe, SyntheticData, find_recipe, load_recipe

SETTINGS = SyntheticData(kind="synthetic", images=20, side=64)
QUIET = Console(file=io.StringIO())


def _recipe(cache: Path, *overrides: str) -> Recipe:
    chosen = ["data.images=20", "data.side=64", "trainer.workers=0", "split.test=0.3", "split.validation=0.2"]
    return load_recipe(find_recipe("pretrain_tiny"), [*chosen, f"cache={cache}", *overrides])


def _data(recipe: Recipe) -> SegmentationDataModule:
    store = build.make_store(recipe, QUIET)
    segmenter = build.make_segmenter(recipe)
    splits = build.make_splits(recipe, store, QUIET)
    return build.make_data(recipe, store, splits, segmenter.spec, torch.device("cpu"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_the_store_holds_the_first_epoch(cache: Path) -> None:
    store = build.make_store(_recipe(cache), QUIET)
    assert len(store.rows) == len(set(store.groups)) == 20
    for row in (0, 7, 19):
        kept, drawn = store.sample(row), redraw(SETTINGS, store.groups[row], 0)
        assert np.array_equal(kept.image, drawn.image)
        assert np.array_equal(kept.masks, drawn.masks)
        assert (kept.sample_id, kept.categories) == (drawn.sample_id, drawn.categories)


def test_no_two_epochs_seeds_or_places_share_an_image() -> None:
    other = SETTINGS.model_copy(update={"seed": 1})
    drawn = [redraw(SETTINGS, f"synthetic_0_{place:06d}", epoch) for place in (0, 1) for epoch in (0, 1, 2)]
    drawn += [redraw(other, "synthetic_1_000000", 0)]
    assert len({sample.image.tobytes() for sample in drawn}) == len({sample.sample_id for sample in drawn}) == 7


def test_training_images_are_new_each_epoch_and_validation_images_never(cache: Path) -> None:
    data = _data(_recipe(cache))
    train, validation = data.train_dataloader(), data.val_dataloader()
    assert not isinstance(validation, list)
    seen = []
    for epoch in range(3):
        train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        seen.append({name for batch in train for name in batch.sample_ids})
    assert not seen[0] & seen[1] and not seen[1] & seen[2]
    kept = {name for batch in validation for name in batch.sample_ids}
    assert kept == {data.store.rows[row]["sample_id"] for row in data.rows(data.splits.validation)}


def test_without_fresh_an_epoch_is_like_another(cache: Path) -> None:
    train = _data(_recipe(cache, "data.fresh=false")).train_dataloader()
    seen = []
    for epoch in range(2):
        train.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        seen.append({name for batch in train for name in batch.sample_ids})
    assert seen[0] == seen[1]


def test_a_batch_has_no_more_objects_than_asked_for(cache: Path) -> None:
    train = _data(_recipe(cache, "trainer.objects_per_image=2")).train_dataloader()
    train.sampler.set_epoch(1)  # type: ignore[attr-defined]
    assert max(batch.object_valid.shape[1] for batch in train) == 2
