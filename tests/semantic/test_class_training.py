"""A set of two classes is learnt in a few steps, through the task, its validation and its checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from adapt.build import make_segmenter, make_task, tune
from adapt.class_maps import batch_label_maps
from adapt.datamodules.batches import collate, to_batch
from adapt.evaluate.semantic import score_label_maps, summarise_classes
from adapt.features import About, FeatureCache
from adapt.losses import mean_over_objects
from adapt.recipe import FolderData, ModelSettings, OptimizerSettings, Recipe, SemanticSettings
from adapt.samples import Batch, Sample
from adapt.segmenters import freeze_boundary
from adapt.task import AdaptTask

SIDE = 96
CLASSES = ["square", "disc"]
RECIPE = Recipe(
    data=FolderData(kind="folder", root="x"),
    model=ModelSettings(input_size=SIDE),
    semantic=SemanticSettings(classes=CLASSES),
    optimizer=OptimizerSettings(learning_rate=2e-3, warmup_steps=0),
)


def sample(number: int) -> Sample:
    """A bright square and a dark disc in noise, which do not touch."""
    random = np.random.default_rng(number)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    top, left = random.integers(4, 20, size=2)
    y, x = random.integers(66, 78, size=2)
    square = (rows >= top) & (rows < top + 30) & (columns >= left) & (columns < left + 30)
    masks = np.stack((square, np.hypot(rows - y, columns - x) < 15))
    grey = random.normal(128, 15, (SIDE, SIDE)) + 90 * masks[0] - 90 * masks[1]
    return Sample(
        image=np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2),
        masks=masks,
        categories=("square", "disc"),
        group=f"g{number % 2}",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=str(number),
        source="",
    )


def task_of(recipe: Recipe) -> AdaptTask:
    torch.manual_seed(0)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    return make_task(recipe, segmenter, steps_per_epoch=10)


def batch_of(task: AdaptTask, numbers: range) -> Batch:
    return collate([to_batch(sample(number), task.segmenter.spec) for number in numbers])


@torch.no_grad()
def validated(task: AdaptTask, batch: Batch) -> float:
    task.validation_step(batch, 0)
    found = float(task.miou_classes.compute())
    task.miou_classes.reset()
    return found


@pytest.fixture(scope="module")
def learnt() -> tuple[AdaptTask, float, float]:
    """The task after some steps, and its validation before and after them."""
    task = task_of(RECIPE)
    held_out = batch_of(task, range(100, 104))
    before = validated(task, held_out)
    optimizer = torch.optim.AdamW([values for values in task.parameters() if values.requires_grad], lr=2e-3)
    task.on_fit_start()
    for step in range(12):
        losses, counted = task.losses(batch_of(task, range(4 * step, 4 * step + 4)), step=step)
        optimizer.zero_grad()
        mean_over_objects(losses.total, counted).backward()
        optimizer.step()
    task.segmenter.eval()
    return task, before, validated(task, held_out)


def test_two_classes_are_learnt_in_a_few_steps(learnt: tuple[AdaptTask, float, float]) -> None:
    _, before, after = learnt
    assert before < 0.1
    assert after > 0.5


def test_validation_and_evaluation_agree(learnt: tuple[AdaptTask, float, float]) -> None:
    """Images that fill the model frame are not resized, so both see the same pixels."""
    task, _, after = learnt
    scores = list(score_label_maps(map(sample, range(100, 104)), task.segmenter, device=torch.device("cpu")))
    results = summarise_classes(scores, CLASSES, bootstrap_samples=100, seed=0)
    assert results.mean.iou == pytest.approx(after, abs=1e-6)
    assert results.mean.iou == pytest.approx(np.mean([results.groups["g0"], results.groups["g1"]]))


def test_a_checkpoint_brings_the_tokens_back_bit_for_bit(learnt: tuple[AdaptTask, float, float]) -> None:
    task, _, _ = learnt
    kept = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(kept)
    again = task_of(RECIPE)
    again.load_tuned(kept["state_dict"])
    assert any("mask_tokens" in name for name in kept["state_dict"])
    assert not any("iou_prediction_head" in name for name in kept["state_dict"])
    for (name, one), (_, other) in zip(task.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(one, other), name


@torch.no_grad()
def test_cached_features_give_the_same_losses_to_the_bit(tmp_path: Path) -> None:
    task = task_of(RECIPE)
    segmenter = task.segmenter
    boundary = freeze_boundary(segmenter.stages)
    about = About("adapt:tiny", boundary, len(segmenter.stages), SIDE, "float32")
    cache = FeatureCache(tmp_path / "features", about=about, views=1, limit=10**9, notice=pytest.fail)
    with_cache = make_task(RECIPE, segmenter, steps_per_epoch=10, features=cache)
    totals = []
    for found in (0, 2):  # the first time nothing is there, and all is kept
        parts = [to_batch(one, segmenter.spec, cached=cache.reader.look_up(one.image)) for one in map(sample, range(2))]
        batch = collate(parts)
        assert batch.cached is not None and int(batch.cached.found.sum()) == found
        totals.append(with_cache.losses(batch, step=0)[0].total)
        cache.flush()  # written beside the training: without this the second time may come too early
    assert torch.equal(totals[1], totals[0])
    torch.testing.assert_close(task.losses(batch_of(task, range(2)), step=0)[0].total, totals[0])


@pytest.mark.parametrize("at", ["mask", "image"])
def test_images_that_do_not_count_weigh_nothing_and_the_others_are_averaged(at: str) -> None:
    recipe = RECIPE.model_copy(update={"loss": RECIPE.loss.model_copy(update={"at": at})})
    task = task_of(recipe)
    both = batch_of(task, range(2))
    object.__setattr__(both, "counted", torch.tensor([True, False]))
    alone = batch_of(task, range(1))
    with torch.no_grad():
        (losses, counted), (one, _) = task.losses(both, step=0), task.losses(alone, step=0)
    torch.testing.assert_close(mean_over_objects(losses.total, counted), one.total[0])


def test_what_is_learnt_is_the_label_map_whatever_the_order_of_the_objects() -> None:
    task = task_of(RECIPE)
    labels = batch_label_maps(batch_of(task, range(1)), CLASSES)
    expected = sample(0).masks[0] + 2 * sample(0).masks[1]
    found: Tensor = labels[0]
    assert (found.numpy() == expected).all()
