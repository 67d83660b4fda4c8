"""What a gallery during training shows, from a recipe's data and a real segmenter."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from adapt import build
from adapt.jobs.galleries import PROTOCOLS, epoch_galleries, one_object
from adapt.recipe import find_recipe, load_recipe
from adapt.samples import Sample


def test_the_largest_object_alone_is_shown() -> None:
    masks = np.zeros((3, 6, 6), dtype=bool)
    masks[0, 0, 0] = masks[1, :4, :4] = masks[2, 5, :3] = True
    image = np.zeros((6, 6, 3), dtype=np.uint8)
    sample = Sample(image, masks, ("a", "b", "c"), "g", (1.0, 1.0), "px", "s", "none", cut=(False, True, False))
    sample = replace(sample, weights=(1.0, 0.5, 0.1))
    alone = one_object(sample)
    assert alone.categories == ("b",) and alone.cut == (True,) and alone.weights == (0.5,)
    assert np.array_equal(alone.masks[0], masks[1])


@pytest.mark.parametrize("every", [0, 1])
def test_validation_objects_are_drawn_with_the_answers_of_the_model(tmp_path: Path, every: int) -> None:
    recipe = load_recipe(
        find_recipe("folder"),
        ["data.root=adapt:shapes_folder", f"cache={tmp_path}", f"evaluation.gallery_every={every}"],
    )
    console, device = Console(quiet=True), torch.device("cpu")
    store = build.make_store(recipe, console)
    segmenter = build.make_segmenter(recipe)
    data = build.make_data(recipe, store, build.make_splits(recipe, store, console), segmenter.spec, device)
    callbacks = epoch_galleries(recipe, data, segmenter, folder=tmp_path, device=device)
    assert len(callbacks) == every
    for callback in callbacks:
        entries = callback._draw(tmp_path)
        validation = set(data.splits.validation)
        assert {entry.protocol for entry in entries} == set(PROTOCOLS)
        for entry in entries:
            assert entry.picture.is_file() and entry.truth.any()
            assert any(entry.sample_id.startswith(group) for group in validation)
            union = (entry.truth | entry.answer).sum()
            assert entry.iou == pytest.approx((entry.truth & entry.answer).sum() / union)
