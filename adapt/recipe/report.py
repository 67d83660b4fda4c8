"""What is wrong with a recipe, in words a user can act on: place, key, value, allowed values, nearest key."""

import difflib
import typing
from dataclasses import dataclass, replace
from types import UnionType

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from adapt.recipe.schema import Recipe

KeyPath = tuple[str | int, ...]
MAPPINGS = ("dict_type", "model_type", "model_attributes_type")


@dataclass(frozen=True)
class Problem:
    """One thing to mend: where, which key, which value, what to do."""

    path: KeyPath
    value: str
    remedy: str
    place: str = ""

    def at(self, place: str) -> "Problem":
        """The same problem with its place, `file:line` or `command line`."""
        return replace(self, place=place)


def explain(error: ValidationError, tree: object) -> list[Problem]:
    """Problems of a validation error, one a key, in the order of the schema."""
    remedies: dict[KeyPath, list[str]] = {}
    values: dict[KeyPath, str] = {}
    for details in error.errors(include_url=False):
        path = _key_path(details, tree)
        remedy = _remedy(details, path, tree)
        values.setdefault(path, _shown(details))
        if remedy not in remedies.setdefault(path, []):
            remedies[path].append(remedy)
    return [Problem(path, values[path], " or ".join(texts)) for path, texts in remedies.items()]


def render(problems: list[Problem], *, name: str) -> str:
    """A message that lists every problem."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    blocks = [f"recipe {name} has {count}:"]
    for problem in problems:
        key = ".".join(map(str, problem.path)) or "(the recipe)"
        blocks.append(f"  {problem.place}  {key}{problem.value}\n      {problem.remedy}")
    return "\n".join(blocks)


def _key_path(details: ErrorDetails, tree: object) -> KeyPath:
    """The error's location as a user wrote it: without the tags that pydantic adds for unions."""
    path: list[str | int] = []
    here = tree
    location = details["loc"]
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(here, dict) and part in here:
            path.append(part)
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            path.append(part)
            here = here[part]
        elif last and details["type"] == "missing":
            path.append(part)
    return tuple(path)


def _shown(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return " (missing)"
    text = repr(details["input"])
    return f" = {text if len(text) <= 80 else text[:77] + '...'}"


def _remedy(details: ErrorDetails, path: KeyPath, tree: object) -> str:
    kind = details["type"]
    context = details.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _fields(path[:-1], tree)
        word = str(path[-1])
        near = _nearest(word, allowed) or _of_others(word, path[:-1], tree) or _elsewhere(word, tree)
        return f"unknown key{near}; allowed: {', '.join(allowed)}"
    if kind == "missing":
        return f"required{_description(path, tree)}"
    if kind == "literal_error":
        allowed = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"allowed: {', '.join(allowed)}{_nearest(str(details['input']), allowed)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tags = context.get("expected_tags") or ", ".join(_tags(path, tree))
        allowed = [word.strip(" '") for word in str(tags).split(",")]
        given = str(context.get("tag", ""))
        key = str(context["discriminator"]).strip("'")
        return f"{key} must be one of: {', '.join(allowed)}{_nearest(given, allowed)}"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if kind in MAPPINGS:
        return f"needs a mapping (name: value), not {_kind_of(details['input'])}"
    if kind == "list_type":
        return f"needs a list ([a, b]), not {_kind_of(details['input'])}"
    return details["msg"][0].lower() + details["msg"][1:] + _expected_form(details)


def _expected_form(details: ErrorDetails) -> str:
    return f", not {_kind_of(details['input'])}" if details["type"].endswith("_type") else ""


def _kind_of(value: object) -> str:
    names = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
    names |= {"NoneType": "nothing (null)", "dict": "a mapping", "list": "a list"}
    return names.get(type(value).__name__, type(value).__name__)


def _nearest(word: str, allowed: list[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _elsewhere(word: str, tree: object) -> str:
    """The section that a key stands in, for a key that was written at the wrong place."""
    for section in Recipe.model_fields:
        if word in _fields((section,), tree):
            return f"; did you mean {section}.{word}?"
    return ""


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Annotated, typing.Union, UnionType):
        return [model for part in typing.get_args(annotation) for model in _models(part)]
    return []


def _tag(model: type[BaseModel], key: str) -> str | None:
    """The one value of a class's discriminating key (`kind`, `mode`), by which a recipe means this class."""
    field = model.model_fields.get(key)
    return typing.get_args(field.annotation)[0] if field is not None and typing.get_args(field.annotation) else None


def _choices(model: type[BaseModel], name: str) -> tuple[str, list[type[BaseModel]]]:
    """The discriminating key of a field, and the classes that it chooses from."""
    field = model.model_fields.get(name)
    return (str(field.discriminator), _models(field.annotation)) if field is not None else ("", [])


def _model_at(path: KeyPath, tree: object) -> type[BaseModel] | None:
    """The schema class of the mapping at a key path; of several, the one that it names, or the default."""
    model: type[BaseModel] = Recipe
    here = tree
    for part in path:
        here = here.get(part) if isinstance(here, dict) else None
        key, choices = _choices(model, str(part))
        field = model.model_fields.get(str(part))
        tag = here.get(key) if isinstance(here, dict) else None
        if tag is None and field is not None:
            tag = getattr(field.default, key, None)
        chosen = next((choice for choice in choices if len(choices) == 1 or _tag(choice, key) == tag), None)
        if chosen is None:
            return None
        model = chosen
    return model


def _of_others(word: str, path: KeyPath, tree: object) -> str:
    """The tags of other classes of the same union that have the key: `rank` in mode `decoder` belongs to `lora`."""
    parent = _model_at(path[:-1], tree) if path else None
    key, choices = _choices(parent, str(path[-1])) if parent is not None else ("", [])
    tags = [str(_tag(choice, key)) for choice in choices if len(choices) > 1 and word in choice.model_fields]
    return f"; it is a key of {key}: {', '.join(tags)}" if tags else ""


def _fields(path: KeyPath, tree: object) -> list[str]:
    model = _model_at(path, tree)
    return list(model.model_fields) if model is not None else []


def _tags(path: KeyPath, tree: object) -> list[str]:
    parent = _model_at(path[:-1], tree)
    key, choices = _choices(parent, str(path[-1])) if parent is not None and path else ("", [])
    return [str(_tag(model, key)) for model in choices]


def _description(path: KeyPath, tree: object) -> str:
    model = _model_at(path[:-1], tree)
    field = model.model_fields.get(str(path[-1])) if model is not None else None
    return f": {field.description}" if field is not None and field.description else ""
