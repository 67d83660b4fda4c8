"""Stages of a curriculum: the run's recipe with some values changed, checked before anything runs."""

from pathlib import Path

import pytest

from adapt.errors import RecipeError
from adapt.recipe import Recipe, as_yaml, find_recipe, load_recipe, stages

RECIPE = """\
data: {kind: synthetic}
prompts: {box_chance: 0.3}
curriculum:
- name: easy
  change:
    model.input_size: 128
    data.smallest: 0.01
    prompts.corrections: 0
- name: harder
  change:
    loss.pixel_loss: balanced
"""


def _load(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, list(overrides))


def test_a_stage_is_the_recipe_with_its_changes_and_without_stages(tmp_path: Path) -> None:
    recipe = _load(tmp_path, RECIPE)
    (first, easy), (second, harder) = stages(recipe)
    assert (first, second) == ("easy", "harder")
    assert (easy.model.input_size, easy.data.smallest, easy.prompts.corrections) == (128, 0.01, 0)  # type: ignore[union-attr]
    assert easy.prompts.box_chance == harder.prompts.box_chance == 0.3
    assert harder.loss.pixel_loss == "balanced"
    assert harder.prompts.corrections == 8
    assert easy.curriculum == harder.curriculum == []


def test_overrides_reach_the_stages(tmp_path: Path) -> None:
    assert {stage.seed for _, stage in stages(_load(tmp_path, RECIPE, ("seed=7",)))} == {7}


def test_a_preset_that_a_stage_overrides_stays_overridden(tmp_path: Path) -> None:
    recipe = _load(tmp_path, "preset: sam2\n" + RECIPE)
    (_, easy), (_, harder) = stages(recipe)
    assert (easy.prompts.corrections, harder.prompts.corrections) == (0, 7)
    assert easy.loss.iou_error == "absolute"


def test_what_is_written_down_is_read_back_equal(tmp_path: Path) -> None:
    recipe = _load(tmp_path, RECIPE)
    assert _load(tmp_path, as_yaml(recipe)) == recipe


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("prompts.box_chanse: 1.0", "unknown key; did you mean box_chance?"),
        ("prompts.box_chance: 1.5", "input should be less than or equal to 1"),
        ("loss.pixel_loss: focall", "allowed: focal, balanced; did you mean focal?"),
        ("seed: 3", "'seed' cannot change between stages"),
        ("model.checkpoint: other", "'model.checkpoint' cannot change between stages"),
        ("model.input_size: 8", "input should be greater than or equal to 32"),
    ],
)
def test_a_wrong_change_is_told_with_its_line(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _load(tmp_path, RECIPE.replace("loss.pixel_loss: balanced", line))
    message = str(caught.value)
    assert expected in message
    assert "has 1 problem:" in message
    assert "mine.yaml:1" in message  # line 10 or 11


def test_every_stage_of_the_packaged_recipes_is_valid() -> None:
    recipe = load_recipe(find_recipe("pretrain_tiny"))
    assert [name for name, _ in stages(recipe)] == ["boxes", "clicks", "sharp"]
