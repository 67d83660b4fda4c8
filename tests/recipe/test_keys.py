"""The page on the keys of a recipe: it is up to date, whole, and says something of each key."""

import re
from pathlib import Path

import pytest

from adapt.cli import main
from adapt.recipe import Recipe, find_recipe, key_paths, keys_page, load_recipe, recipe_names

PAGE = Path(__file__).parents[2] / "docs" / "recipe-keys.md"
FREE = ("data.labels", "evaluation.retention.data", "text.phrases")
"""Mappings whose keys are a team's own, and one that has the keys of another section."""


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "keys"]) == 0
    printed = capsys.readouterr().out
    assert PAGE.read_text(encoding="utf-8") == printed, "docs/recipe-keys.md is stale: run `make schema` and commit it"


def leaves(tree: object, path: str = "") -> set[str]:
    """Key paths of a recipe as it was read."""
    if isinstance(tree, dict) and path not in FREE and not path.endswith(".change"):
        return {leaf for key, inner in tree.items() for leaf in leaves(inner, f"{path}.{key}".strip("."))}
    if isinstance(tree, list) and path == "curriculum":
        return {leaf for inner in tree for leaf in leaves(inner, f"{path}[]")}
    return {path}


@pytest.mark.parametrize("name", recipe_names())
def test_every_key_of_a_packaged_recipe_is_on_the_page(name: str) -> None:
    read = leaves(load_recipe(find_recipe(name)).model_dump(mode="json"))
    assert len(read) > 100
    assert read - key_paths() - {"curriculum"} == set()  # an empty list has no entries to tell of


def test_every_key_of_every_class_of_the_schema_is_on_the_page() -> None:
    schema = Recipe.model_json_schema()
    names = {name for definition in schema["$defs"].values() for name in definition["properties"]}
    parts = {"retention", "rates", "propagate", "card"}  # whose own keys are there
    assert names - {path.rpartition(".")[2] for path in key_paths()} == parts


def test_every_key_is_explained_and_has_a_default_or_is_required() -> None:
    rows = [line.split(" | ") for line in keys_page().splitlines() if line.startswith("| `")]
    assert len(rows) > 200
    assert [row for row in rows if len(row) != 4 or not all(cell.strip(" |") for cell in row)] == []


def test_each_section_and_each_variant_has_its_heading_once() -> None:
    headings = re.findall(r"^#+ (.*)$", keys_page(), flags=re.MULTILINE)
    assert len(headings) == len(set(headings))
    modes = [heading for heading in headings if heading.startswith("`tuning`, ")]
    assert "`tuning`, `mode: lora`" in modes and len(modes) == 11
    assert "`data.intensity` of `kind: medical`, `kind: hu_window`" in headings


def test_texts_cannot_be_taken_for_html() -> None:
    assert re.findall(r"<\w", keys_page()) == []
