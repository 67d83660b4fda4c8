"""Every key of a recipe, from the schema: its path, what it may be, its default, what it means."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapt.recipe.schema import Recipe

Node = dict[str, Any]
"""A part of the JSON Schema."""
INTRODUCTION = """\
# Keys of a recipe

Made from the schema by `python -m adapt recipes keys`; the same texts are in `recipes/schema.json`, for editors. A key
path is also how a value is replaced on the command line: `python -m adapt fit --recipe quickstart trainer.epochs=5`.
**required** has no default. A key that is not on this page is an error, which names the nearest one.
"""
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "mapping",
}


@dataclass(frozen=True)
class Key:
    """A key of a recipe.

    Attributes:
        path: from the top, with dots; `[]` stands for each entry of a list.
        node: what the schema says of it.
        required: it has no default.
    """

    path: str
    node: Node
    required: bool


@dataclass(frozen=True)
class Section:
    """Keys that belong together.

    Attributes:
        title: the section of the recipe, and what chooses this variant of it.
        depth: of the heading.
        text: what it is for.
        keys: in the order of the schema.
    """

    title: str
    depth: int
    text: str
    keys: list[Key]


def key_paths() -> frozenset[str]:
    """The paths of all keys, of all variants."""
    return frozenset(key.path for section in _sections() for key in section.keys)


def keys_page() -> str:
    """The page on all keys, as Markdown."""
    blocks = [INTRODUCTION]
    for section in _sections():
        blocks.append(f"{'#' * section.depth} {section.title}\n")
        if section.text:
            blocks.append(section.text + "\n")
        if section.keys:
            blocks.append("| key | value | default | meaning |\n|---|---|---|---|\n" + "".join(map(_row, section.keys)))
    return "\n".join(blocks)


def _sections() -> Iterator[Section]:
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    own = {name: node for name, node in schema["properties"].items() if not _models(node, definitions)}
    yield Section("Top level", 2, "", [Key(name, node, False) for name, node in own.items()])
    for name, node in schema["properties"].items():
        if name not in own:
            yield from _section(f"`{name}`", name, node, definitions, depth=2)


def _section(title: str, path: str, node: Node, definitions: Node, *, depth: int) -> Iterator[Section]:
    """A section of the recipe; of one with variants, each of them."""
    models = _models(node, definitions)
    choice = _choice(node)
    if not choice:
        (model,) = models
        inside = f"{path}[]" if "items" in node else path
        yield from _of_model(title, inside, {**model, **_text(node)}, definitions, depth=depth)
        return
    yield Section(title, depth, f"`{choice}` decides which keys there are.", [])
    for model in models:
        variant = f"{title}, `{choice}: {model['properties'][choice]['const']}`"
        yield from _of_model(variant, path, model, definitions, depth=depth + 1)


def _of_model(title: str, path: str, model: Node, definitions: Node, *, depth: int) -> Iterator[Section]:
    """Its keys and those of plain parts below it; then a section for each part that has variants."""
    keys: list[Key] = []
    below: list[tuple[str, Node]] = []

    def add(path: str, model: Node) -> None:
        for name, node in model["properties"].items():
            inside = f"{path}.{name}"
            models = _models(node, definitions)
            if _is_data(node) or not models:
                keys.append(Key(inside, node, name in model.get("required", [])))
            elif len(models) > 1 or "$ref" not in node:  # with variants, or null, or a list
                keys.append(Key(inside, node, name in model.get("required", [])))
                below.append((inside, node))
            else:
                add(inside, models[0])

    add(path, model)
    yield Section(title, depth, model.get("description", "").replace("\n", " "), keys)
    for inside, node in below:
        of = title.rpartition(", ")[2]
        yield from _section(f"`{inside}` of {of}", inside, node, definitions, depth=depth + 1)


def _models(node: Node, definitions: Node) -> list[Node]:
    """The classes of settings that a part of the schema may be."""
    if "$ref" in node:
        return [definitions[node["$ref"].rpartition("/")[2]]]
    parts = [*node.get("oneOf", []), *node.get("anyOf", []), *([node["items"]] if "items" in node else [])]
    return [model for part in parts for model in _models(part, definitions)]


def _text(node: Node) -> Node:
    """What the schema says of a section as a whole, if it does; else its class does."""
    return {"description": node["description"]} if "description" in node else {}


def _choice(node: Node) -> str | None:
    """The key that chooses among variants."""
    for part in (node, *node.get("anyOf", [])):
        if "discriminator" in part:
            return str(part["discriminator"]["propertyName"])
    return None


def _is_data(node: Node) -> bool:
    """Whether it is what a whole `data` section is; below another section it is not written down again."""
    return "medical" in node.get("discriminator", {}).get("mapping", {})


def _row(key: Key) -> str:
    node = key.node
    meaning = node.get("description", _meaning(node)).replace("<", "&lt;")
    cells = (f"`{key.path}`", _kind(node), "**required**" if key.required else f"`{_default(node)}`", meaning)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def _default(node: Node) -> str:
    value = node["default"]
    if _is_data(node):  # what it does not name has the defaults of its kind
        value = {name: value[name] for name in ("kind", "root")}
    return _written(value)


def _meaning(node: Node) -> str:
    """Of keys that choose a variant, and of parts that are described in a section of their own."""
    if "const" in node:
        return "Chooses these keys."
    return "" if _is_data(node) else "See below."


def _written(value: object) -> str:
    """A default, as YAML has it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}".replace("e-0", "e-")
    return json.dumps(value)


def _kind(node: Node) -> str:
    """What a value may be, in words."""
    if _is_data(node):
        return "as [`data`](#data)"
    if "$ref" in node:
        return "mapping"
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if parts := [*node.get("oneOf", []), *node.get("anyOf", [])]:
        return " or ".join(dict.fromkeys(map(_kind, parts)))
    if node["type"] == "array":
        return _list_of(node)
    if node["type"] == "object":
        return f"mapping of names to {_kind(node['additionalProperties'])}"
    return TYPES[node["type"]] + _range(node)


def _list_of(node: Node) -> str:
    least, most = node.get("minItems"), node.get("maxItems")
    count = f"{least} " if least == most and least else f"{least} to {most} " if most else ""
    return f"list of {count}{_kind(node['items'])}" + (", not empty" if least == 1 and not most else "")


def _range(node: Node) -> str:
    """The limits of a number."""
    signs = (("minimum", "≥ "), ("exclusiveMinimum", "> "), ("maximum", "≤ "), ("exclusiveMaximum", "< "))
    limits = {name: f"{sign}{_written(node[name])}" for name, sign in signs if name in node}
    if "exclusiveMaximum" in limits:
        limits.pop("maximum", None)
    return " " + ", ".join(limits.values()) if limits else ""
