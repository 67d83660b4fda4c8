"""What of a run may leave the machine: no paths, no names of people or patients, no account of a tracking service."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt.recipe import Recipe

YOURS = "your-data"
"""What stands in a pushed recipe for a folder of its own machine."""
LOCAL = "local files"
PATH = re.compile(r"""(?:(?<=[\s'"(=,;\[])|^)(?:file:/+|~|[A-Za-z]:[\\/]|\\\\|/|\.\./)[^\s'")\],;]+""")
"""A path that only this machine has, anywhere in a text."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
DROPPED: tuple[tuple[str, ...], ...] = (
    ("output",),
    ("cache",),
    ("tracking",),
    ("wandb",),
    ("hub", "repo"),
    ("hub", "after_fit"),
    ("split", "validation_groups"),
    ("split", "test_groups"),
)
"""Keys that go back to their defaults: places, accounts, and names that may be patients'."""


def is_embedded(name: str) -> bool:
    """Whether a checkpoint or data root is the package's own: adapt:tiny, adapt:nuclei."""
    return name.startswith("adapt:")


def is_hub_id(name: str) -> bool:
    """Whether a checkpoint or data root names a repository, and no folder here."""
    return bool(HUB_ID.fullmatch(name)) and not name.startswith(".") and not Path(name).exists()


def portable_recipe(recipe: Recipe) -> tuple[Recipe, list[str]]:
    """The recipe without what is of this machine alone, and the key paths of what was left out."""
    tree: dict[str, Any] = recipe.model_dump(mode="json")
    dropped = []
    for path in DROPPED:
        section, (*above, last) = tree, path
        for key in above:
            section = section[key]
        default = _default(path)
        if section[last] != default:
            section[last] = default
            dropped.append(".".join(path))
    for place, settings in (
        ("data", tree["data"]),
        ("evaluation.retention.data", tree["evaluation"]["retention"]["data"]),
    ):
        root = settings["root"]
        if not is_embedded(root) and not (settings["kind"] == "hub" and is_hub_id(root)):
            settings["root"] = YOURS
            dropped.append(f"{place}.root")
    checkpoint = tree["model"]["checkpoint"]
    if not is_embedded(checkpoint) and not is_hub_id(checkpoint):
        tree["model"]["checkpoint"] = "your-checkpoint"
        dropped.append("model.checkpoint")
    for stage in tree["curriculum"]:
        if "data.root" in stage["change"] and not is_embedded(str(stage["change"]["data.root"])):
            stage["change"]["data.root"] = YOURS
            dropped.append(f"curriculum.{stage['name']}.data.root")
    cleaned = _without_paths(tree, "", dropped)
    return Recipe.model_validate_json(json.dumps(cleaned)), dropped


def portable_results(results: Mapping[str, Any]) -> dict[str, Any]:
    """`results.json` without paths, and with numbers in place of the names of groups, which may be patients'."""
    kept = {key: value for key, value in results.items() if key != "test_groups"}
    kept["versions"] = {key: value for key, value in results.get("versions", {}).items() if key != "platform"}
    checkpoint = str(results.get("checkpoint", ""))
    if not is_embedded(checkpoint) and not is_hub_id(checkpoint):
        kept["checkpoint"] = LOCAL
    retention = kept.get("retention")
    if isinstance(retention, dict) and not is_embedded(str(retention.get("data", ""))):
        kept["retention"] = {**retention, "data": LOCAL}
    numbered: dict[str, Any] = _without_paths(_numbered(kept), "", [])
    return numbered


def portable_text(text: str) -> str:
    """A text without paths of this machine."""
    return PATH.sub(LOCAL, text)


def _default(path: tuple[str, ...]) -> object:
    model: Any = Recipe
    for key in path[:-1]:
        model = type(model.model_fields[key].get_default())
    default = model.model_fields[path[-1]].get_default()
    return default.model_dump(mode="json") if hasattr(default, "model_dump") else default


def _numbered(tree: Any) -> Any:  # noqa: ANN401 - plain data of any shape
    if isinstance(tree, list | tuple):
        return [_numbered(value) for value in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: {f"group {number}": score for number, score in enumerate(value.values(), start=1)}
        if key == "groups" and isinstance(value, dict)
        else _numbered(value)
        for key, value in tree.items()
    }


def _without_paths(tree: Any, place: str, dropped: list[str]) -> Any:  # noqa: ANN401 - plain data of any shape
    if isinstance(tree, dict):
        return {key: _without_paths(value, f"{place}.{key}".strip("."), dropped) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_paths(value, place, dropped) for value in tree]
    if not isinstance(tree, str) or place in ("cache", "output"):
        return tree
    cleaned = portable_text(tree)
    if cleaned != tree:
        dropped.append(place)
    return cleaned
