"""The recipes of a run's stages: the run's own, with what each stage changes."""

import json
from collections.abc import Iterator

from adapt.recipe.schema import Recipe
from adapt.recipe.staging import StageSettings


def stage_recipe(recipe: Recipe, stage: StageSettings) -> Recipe:
    """The recipe of one stage.

    Raises:
        pydantic.ValidationError: a key or a value that it changes is wrong.
    """
    return Recipe.model_validate_json(json.dumps(stage_tree(recipe, stage)))


def stage_tree(recipe: Recipe, stage: StageSettings) -> dict[str, object]:
    """The same as plain data, not yet checked."""
    tree: dict[str, object] = recipe.model_dump(mode="json", exclude={"curriculum"})
    mode = stage.change.get("tuning.mode", recipe.tuning.mode)
    if mode != recipe.tuning.mode:
        tree["tuning"] = {}  # its other keys belong to the run's own mode
    for path, value in stage.change.items():
        *sections, key = path.split(".")
        here = tree
        for section in sections:
            below = here.setdefault(section, {})
            assert isinstance(below, dict)  # StageSettings has checked the form of the path
            here = below
        here[key] = value
    return tree


def stages(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Name and recipe of each stage that trains before the run proper, in order."""
    for stage in recipe.curriculum:
        yield stage.name, stage_recipe(recipe, stage)
