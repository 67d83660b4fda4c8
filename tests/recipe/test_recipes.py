"""The recipes and the schema that the package ships."""

import json
from pathlib import Path

import jsonschema
import pytest

from adapt.errors import RecipeError
from adapt.recipe import Recipe, describe_recipes, find_recipe, load_recipe, recipe_names
from adapt.recipe.load import PACKAGED, parse_yaml

SCHEMA = PACKAGED / "schema.json"


def test_the_shipped_recipes() -> None:
    assert {"quickstart", "folder", "medical_ct", "medical_mr"} <= set(recipe_names())


OF_THE_HUB = {"concepts": "facebook/sam3"}
"""Recipes that no embedded model can run, and the one that they name."""


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_loads_and_needs_no_download_unless_no_embedded_model_can_run_it(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    embedded = ("adapt:tiny", "adapt:tiny_video")
    assert recipe.model.checkpoint in ((OF_THE_HUB[name],) if name in OF_THE_HUB else embedded)
    assert recipe.concepts.learn == (name in OF_THE_HUB)
    assert recipe.tracking == "none"  # nothing leaves the machine unless it is asked for


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_fits_the_schema_for_editors(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.validate(parse_yaml(text, name=name).tree, schema, cls=jsonschema.Draft202012Validator)


def test_the_schema_for_editors_refuses_what_the_loader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    data = {"kind": "folder", "root": "x"}
    assert validator.is_valid({"data": data})
    assert not validator.is_valid({"data": data, "sed": 1})
    assert not validator.is_valid({"data": data, "seed": -1})
    assert not validator.is_valid({"data": {"kind": "folder"}})
    assert not validator.is_valid({})


def test_the_schema_file_is_up_to_date() -> None:
    stored = json.loads(SCHEMA.read_bytes())
    assert stored == Recipe.model_json_schema(), "recipes/schema.json is stale: run `make schema` and commit it"


def test_each_recipe_says_what_it_is_for() -> None:
    for name, description in describe_recipes():
        assert len(description) > 20, name


def test_a_recipe_is_found_by_name_with_or_without_suffix_or_by_path(tmp_path: Path) -> None:
    assert find_recipe("folder") == find_recipe("folder.yaml") == PACKAGED / "folder.yaml"
    mine = tmp_path / "folder.yaml"
    mine.write_text("seed: 1\n", encoding="utf-8")
    assert find_recipe(str(mine)) == mine


def test_a_file_here_comes_before_a_packaged_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.yaml").write_text("seed: 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert find_recipe("folder.yaml").resolve() == tmp_path / "folder.yaml"
    assert find_recipe("folder") == PACKAGED / "folder.yaml"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("medical_tc", "did you mean medical_ct? "),
        ("quikstart.yaml", "did you mean quickstart? "),
        ("nowhere/medical_mr.yaml", "did you mean medical_mr? "),
        ("zzz", ""),
        ("~no_such_user_here/folder.yaml", "did you mean folder? "),
    ],
)
def test_an_unknown_recipe_is_answered_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe(name)
    message = str(caught.value)
    assert message.startswith(f"no recipe {name!r}: ")
    assert f"package. {hint}Packaged recipes: coco, concepts, folder, hub_dataset, medical_2d, " in message
