"""Masks of a label folder beside a recipe's data: they train, weighted by stage, and are never scored on."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from adapt import build
from adapt.datamodules import SegmentationDataModule
from adapt.errors import DataError
from adapt.formats.coco_review import write_coco_review
from adapt.formats.review import ReviewImage, ReviewObject
from adapt.formats.rle import encode_masks
from adapt.recipe import Recipe, find_recipe, load_recipe
from adapt.segmenters import load_segmenter

QUIET = Console(file=io.StringIO())
SIDE = 96


def square(left: int, **attributes: str) -> ReviewObject:
    mask = np.zeros((1, SIDE, SIDE), dtype=bool)
    mask[:, 10:30, left : left + 20] = True
    return ReviewObject("", "nucleus", encode_masks(mask)[0], {"group": "new", **attributes})


def write_labels(root: Path, *objects: ReviewObject) -> None:
    (root / "pictures").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIDE, SIDE, 3), 90, dtype=np.uint8)).save(root / "pictures" / "a.png")
    write_coco_review(root / "labels.json", [ReviewImage("a.png", SIDE, SIDE, objects)] if objects else [])


def recipe_of(tmp_path: Path, *overrides: str) -> Recipe:
    values = [f"cache={tmp_path / 'cache'}", f"label.root={tmp_path / 'labels'}", "data.root=adapt:nuclei", *overrides]
    return load_recipe(find_recipe("microscopy_nuclei"), values)


def data_of(recipe: Recipe) -> SegmentationDataModule:
    store = build.make_store(recipe, QUIET)
    spec = load_segmenter("adapt:tiny").spec
    return build.make_data(recipe, store, build.make_splits(recipe, store, QUIET), spec, torch.device("cpu"))


def test_they_train_and_move_no_group_of_the_hand_labelled_data(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", square(5, stage="automatic"))
    with_labels = data_of(recipe_of(tmp_path)).splits
    alone = data_of(recipe_of(tmp_path, "label.root=null")).splits
    assert with_labels.train == (*alone.train, "labelled/new")
    assert (with_labels.validation, with_labels.test) == (alone.validation, alone.test)


def test_an_object_weighs_what_its_stage_does_and_a_changed_one_is_that_of_people(tmp_path: Path) -> None:
    objects = [
        square(5, stage="automatic"),
        square(30, stage="semi-automatic"),
        square(55, stage="automatic", changed="yes"),
    ]
    write_labels(tmp_path / "labels", *objects)
    data = data_of(recipe_of(tmp_path, "label.weights.automatic=0.25", "label.weights.manual=2.0"))
    (row,) = data.rows(["labelled/new"])
    assert data.store.sample(row).weights == (0.25, 0.5, 2.0)
    assert data.store.sample(0).weights == ()
    batches = list(data.train_dataloader())
    marked = [(batch, place) for batch in batches for place, name in enumerate(batch.sample_ids) if "a.png" in name]
    [(batch, place)] = marked
    assert sorted(batch.weights[place, batch.object_valid[place]].tolist()) == [0.25, 0.5, 2.0]
    others = torch.cat([batch.weights.flatten() for batch in batches])
    assert others.ne(1).sum() == 3, "hand-labelled objects weigh 1"


def test_before_the_first_round_there_is_only_the_hand_labelled_data(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels")
    assert not any(group.startswith("labelled/") for group in data_of(recipe_of(tmp_path)).store.groups)


def test_a_picture_of_a_held_out_group_is_refused(tmp_path: Path) -> None:
    held_out = data_of(recipe_of(tmp_path, "label.root=null")).splits.test[0]
    write_labels(tmp_path / "labels", square(5, stage="assisted", group=held_out))
    with pytest.raises(DataError, match=rf"held out for validation or test: {held_out}\. Hold out others"):
        data_of(recipe_of(tmp_path))


def refused(tmp_path: Path) -> str:
    with pytest.raises(DataError) as caught:
        build.make_store(recipe_of(tmp_path), QUIET)
    return str(caught.value)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert "has no labels.json; make the folder with adapt label init" in refused(tmp_path)
    write_labels(tmp_path / "labels", square(5, stage="guessed"))
    assert "a.png: a mask has stage 'guessed'" in refused(tmp_path)
    write_labels(tmp_path / "labels", square(5, stage="manual"))
    (tmp_path / "labels" / "pictures" / "a.png").unlink()
    assert "a.png" in refused(tmp_path)


def test_a_picture_of_another_size_than_its_masks_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", square(5, stage="manual"))
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / "labels" / "pictures" / "a.png")
    assert "is (20, 30), but" in refused(tmp_path)


def test_a_changed_weight_makes_the_store_anew(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels", square(5, stage="automatic"))
    stores: list[Any] = [
        build.make_store(recipe_of(tmp_path, f"label.weights.automatic={weight}"), QUIET) for weight in (0.1, 0.2)
    ]
    assert stores[0].folder != stores[1].folder
    assert json.loads((tmp_path / "labels" / "labels.json").read_text(encoding="utf-8"))["images"]
