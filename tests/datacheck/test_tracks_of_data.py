"""Values that do not stay with their objects are told, in the whole check and before a fit."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from adapt.build import make_splits, open_store
from adapt.datacheck.check import quick_findings
from adapt.datacheck.tracks import jumping_tracks
from adapt.datamodules.store import Store
from adapt.recipe import Recipe, find_recipe, load_recipe

CONSOLE = Console(file=io.StringIO())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def stored(cache: Path, *changes: str) -> tuple[Recipe, Store]:
    """The generated cells that divide."""
    recipe = load_recipe(find_recipe("microscopy_video"), [f"cache={cache}", "trainer.workers=0", *changes])
    return recipe, open_store(recipe.data, recipe, CONSOLE, on_error="fail")


def test_values_that_are_given_anew_in_each_frame_are_told(cache: Path) -> None:
    recipe, store = stored(cache, "data.label_folder=masks")
    (found,) = jumping_tracks(store.rows)
    assert (found.code, found.severity) == ("jumping_tracks", "warning")
    assert "objects" in found.text and "set data.tracks=overlap" in found.text
    told = quick_findings(recipe, store, make_splits(recipe, store, CONSOLE))
    assert found in told


@pytest.mark.parametrize("changes", [[], ["data.label_folder=masks", "data.tracks=overlap"]])
def test_tracks_by_value_and_by_overlap_stay(cache: Path, changes: list[str]) -> None:
    assert jumping_tracks(stored(cache, *changes)[1].rows) == []


def test_images_without_an_order_have_no_tracks(cache: Path) -> None:
    assert jumping_tracks(stored(cache, "data.time=3", "clips.length=1")[1].rows) == []
