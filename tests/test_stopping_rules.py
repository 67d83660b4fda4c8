"""Rules that end training early: off by default, and refused where nothing measures what they look at."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from rich.console import Console

from adapt.callbacks.early_stopping import StopForgetting
from adapt.errors import RecipeError
from adapt.jobs.retention import open_general_images
from adapt.jobs.stopping import stopping_rules
from adapt.recipe import find_recipe, load_recipe
from adapt.segmenters import load_segmenter


def _rules(folder: Path, *overrides: str, validated: bool = True) -> Sequence[Callback]:
    recipe = load_recipe(find_recipe("quickstart"), [f"cache={folder}", "trainer.workers=0", *overrides])
    general = open_general_images(recipe, Console(file=StringIO()))
    segmenter = load_segmenter("adapt:tiny")
    return stopping_rules(recipe, segmenter, general, device=torch.device("cpu"), validated=validated)


def test_by_default_nothing_ends_training_early(tmp_path: Path) -> None:
    assert _rules(tmp_path) == []
    assert _rules(tmp_path, validated=False) == []


def test_a_recipe_can_ask_for_both_rules(tmp_path: Path) -> None:
    patience, forgetting = _rules(tmp_path, "trainer.stop_patience=3", "trainer.stop_forgetting=0.05")
    assert isinstance(patience, EarlyStopping) and patience.patience == 3
    assert isinstance(forgetting, StopForgetting)


@pytest.mark.parametrize("rule", ["trainer.stop_patience=1", "trainer.stop_forgetting=0.0"])
def test_a_rule_needs_validation(tmp_path: Path, rule: str) -> None:
    with pytest.raises(RecipeError, match=r"no group is left for it; raise split\.validation"):
        _rules(tmp_path, rule, validated=False)


def test_forgetting_needs_general_images(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"stop_forgetting needs evaluation\.retention\.images above 0"):
        _rules(tmp_path, "trainer.stop_forgetting=0.1", "evaluation.retention.images=0")
    with pytest.raises(RecipeError, match="general images that are not the data itself"):
        _rules(tmp_path, "trainer.stop_forgetting=0.1", "data={kind: coco, root: adapt:shapes_coco}")
