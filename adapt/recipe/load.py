"""Find a recipe, read it, apply overrides, check it.

YAML is read by a `yaml.SafeLoader` cut down further: YAML 1.2 scalars (so that `1e-4` is a number and
`no` is a word), no aliases, no tags, no key given twice. Each value keeps its line for error messages.
"""

import difflib
import json
import os.path
import re
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import ValidationError

from adapt.errors import RecipeError
from adapt.recipe.curriculum import stage_recipe, stage_tree
from adapt.recipe.report import Problem, explain, render
from adapt.recipe.schema import Recipe

PACKAGED = Path(__file__).resolve().parent.parent / "recipes"
MAX_BYTES = 1_000_000
MODE = "tuning.mode="
"""How an override begins that goes first: another mode has other keys, so those of the file are left behind."""
KEY = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")

Tree = None | bool | int | float | str | list["Tree"] | dict[str, "Tree"]
KeyPath = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core scalars; aliases are refused, since a small file can expand to gigabytes with them."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - set below

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read", problem_mark=self.get_mark())
        return super().compose_node(parent, index)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)


class _Dumper(yaml.SafeDumper):
    """Also quotes the texts that only `_Loader` would take for numbers: `08`, `1e5`."""


for _tag, _pattern, _first in (
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)


@dataclass(frozen=True)
class Source:
    """A parsed YAML document: plain data, and the line (1-based) of each key path."""

    tree: Tree
    lines: dict[KeyPath, int]


def _scalar(node: yaml.ScalarNode) -> Tree:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "null":
        return None
    if kind == "bool":
        return str(node.value).lower() == "true"
    if kind == "int":
        return int(node.value)
    if kind == "float":
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if kind == "str":
        return str(node.value)
    raise yaml.MarkedYAMLError(problem=f"tag {node.tag} is not read; plain data only", problem_mark=node.start_mark)


def _plain(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Tree:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if node.tag not in ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"):
        raise yaml.MarkedYAMLError(problem=f"tag {node.tag} is not read; plain data only", problem_mark=node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines) for index, item in enumerate(node.value)]
    tree: dict[str, Tree] = {}
    assert isinstance(node, yaml.MappingNode)
    for key_node, value_node in node.value:
        mark = key_node.start_mark
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=mark)
        key = str(key_node.value)
        if key in tree:
            first = lines[(*path, key)]
            raise yaml.MarkedYAMLError(problem=f"key {key!r} is given twice (first on line {first})", problem_mark=mark)
        lines[(*path, key)] = mark.line + 1
        tree[key] = _plain(value_node, (*path, key), lines)
    return tree


def parse_yaml(text: str, *, name: str) -> Source:
    """Plain data of one YAML document, with lines.

    Raises:
        RecipeError: the text is not YAML, or uses aliases, tags or a key twice; names file and line.
    """
    lines: dict[KeyPath, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return Source(tree={} if node is None else _plain(node, (), lines), lines=lines)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark is not None else name
        problem = getattr(error, "problem", None) or str(error) or "nested too deeply"
        raise RecipeError(f"{place}: not a readable YAML recipe: {problem}") from None


def recipe_names() -> list[str]:
    """Names of the recipes in the package, sorted."""
    return sorted(path.stem for path in PACKAGED.glob("*.yaml"))


def describe_recipes() -> list[tuple[str, str]]:
    """Name and description of each packaged recipe."""
    rows = []
    for name in recipe_names():
        tree = parse_yaml((PACKAGED / f"{name}.yaml").read_text(encoding="utf-8"), name=name).tree
        rows.append((name, str(tree.get("description", "")) if isinstance(tree, dict) else ""))
    return rows


def as_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, as YAML that `load_recipe` reads back to an equal recipe."""
    return yaml.dump(recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def find_recipe(name: str) -> Path:
    """The file of a recipe given by path, or by name (with or without `.yaml`) in the package.

    Raises:
        RecipeError: neither exists; lists the packaged names and the nearest one.
    """
    path = Path(os.path.expanduser(name))  # unlike Path.expanduser, leaves the home of nobody as it is
    if path.is_file():
        return path
    if path.parent == Path() and path.suffix in ("", ".yaml"):
        packaged = PACKAGED / f"{path.stem}.yaml"
        if packaged.is_file():
            return packaged
    near = difflib.get_close_matches(path.stem, recipe_names(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise RecipeError(
        f"no recipe {name!r}: it is neither a file nor a recipe of the package. "
        f"{hint}Packaged recipes: {', '.join(recipe_names())}"
    )


def _apply_override(tree: dict[str, Tree], override: str) -> KeyPath:
    key, equals, text = override.partition("=")
    if not equals or not KEY.fullmatch(key):
        raise RecipeError(f"override {override!r} is not of the form key.path=value, as in data.root=/scans")
    path = tuple(key.split("."))
    here = tree
    for part in path[:-1]:
        below = here.get(part)
        if below is None:
            below = here[part] = {}
        if not isinstance(below, dict):
            raise RecipeError(f"override {override!r}: {part} is {below!r}, so it has no keys below it")
        here = below
    value = parse_yaml(text, name=f"override {key}").tree if text.strip() else ""
    if override.startswith(MODE) and here.get("mode", "decoder") != value:
        here.clear()
    here[path[-1]] = value
    return path


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """The checked recipe of a file, with overrides of the form `a.b=1` applied (values are YAML).

    Raises:
        RecipeError: every problem at once, each with file and line, key path, value and remedy.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RecipeError(f"{path}: larger than {MAX_BYTES:,} bytes; this is not a recipe")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read as a UTF-8 text: {error}") from None
    source = parse_yaml(text, name=str(path))
    if not isinstance(source.tree, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of keys, not {type(source.tree).__name__}")
    tree = source.tree
    ordered = sorted(overrides or [], key=lambda override: not override.startswith(MODE))
    overridden = [_apply_override(tree, override) for override in ordered]
    try:
        recipe = Recipe.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        problems = explain(error, tree)
    else:
        problems = _problems_of_stages(recipe)
    if problems:
        placed = [_with_place(problem, source=source, overridden=overridden, name=str(path)) for problem in problems]
        raise RecipeError(render(placed, name=str(path)))
    return recipe


def _problems_of_stages(recipe: Recipe) -> list[Problem]:
    problems: list[Problem] = []
    for number, stage in enumerate(recipe.curriculum):
        try:
            stage_recipe(recipe, stage)
        except ValidationError as error:
            for problem in explain(error, stage_tree(recipe, stage)):
                key = ".".join(map(str, problem.path))
                problems.append(replace(problem, path=("curriculum", number, "change", key)))
    return problems


def _with_place(problem: Problem, *, source: Source, overridden: list[KeyPath], name: str) -> Problem:
    if any(problem.path[: len(path)] == path for path in overridden):
        return problem.at("command line")
    known = next(
        problem.path[:n] for n in range(len(problem.path), -1, -1) if problem.path[:n] in source.lines or n == 0
    )
    place = f"{name}:{source.lines.get(known, 1)}"
    below = any(path[: len(problem.path)] == problem.path for path in overridden)  # a rule over several keys
    return problem.at(f"{place} and command line" if below else place)
