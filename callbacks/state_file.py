"""A checkpoint's content as one file: tensors as safetensors, everything else as JSON in its header. No pickle.

The library's own writer holds the whole file in memory once more; this one holds a tensor at a time.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adapt.errors import CheckpointError

DTYPES = {
    torch.float64: "F64",
    torch.int64: "I64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Torch's types and their names in a header; wide ones first, so that each tensor lies where its type may begin."""
STATE = "state"


def write_state(state: dict[str, Any], file: BinaryIO) -> str:
    """Write numbers, texts, lists, tuples, dictionaries and tensors, however nested.

    Returns:
        SHA-256 of what was written, as hexadecimal digits.

    Raises:
        CheckpointError: something else is among them; names its place.
    """
    tensors: list[Tensor] = []
    tree = _encoded(state, tensors, "checkpoint")
    order = sorted(range(len(tensors)), key=lambda number: -tensors[number].element_size())
    header: dict[str, object] = {"__metadata__": {STATE: json.dumps(tree)}}
    end = 0
    for number in order:
        begin, end = end, end + tensors[number].nbytes
        kind, shape = DTYPES[tensors[number].dtype], list(tensors[number].shape)
        header[str(number)] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    for part in (len(text).to_bytes(8, "little"), text, *_bytes(tensors, order)):
        digest.update(part)
        file.write(part)
    return digest.hexdigest()


def read_state(path: Path) -> dict[str, Any]:
    """What was written, on the CPU.

    Raises:
        CheckpointError: the file is missing, cut short, or no such file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads((file.metadata() or {})[STATE])
            state: dict[str, Any] = _decoded(tree, {name: file.get_tensor(name) for name in file.keys()})
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(error).__name__}: {reason})") from None
    return state


def _bytes(tensors: list[Tensor], order: list[int]) -> Iterator[bytes | memoryview]:
    for number in order:
        if tensors[number].numel():
            yield tensors[number].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _encoded(value: object, tensors: list[Tensor], place: str) -> object:
    """Plain data for JSON; tensors are moved to the list, and their numbers stand in their places."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor) and value.dtype in DTYPES:
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if isinstance(value, list | tuple):
        items = [_encoded(item, tensors, f"{place}.{index}") for index, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict) and all(isinstance(key, str | int) for key in value):
        return {"dict": [[key, _encoded(item, tensors, f"{place}.{key}")] for key, item in value.items()]}
    raise CheckpointError(f"{place} is a {type(value).__name__}, which a checkpoint cannot hold")


def _decoded(tree: object, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401 - whatever was saved
    if isinstance(tree, list):
        return [_decoded(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[str(content)]
    if kind == "tuple":
        return tuple(_decoded(item, tensors) for item in content)
    if kind == "dict":
        return {key: _decoded(item, tensors) for key, item in content}
    raise ValueError(f"unknown kind {kind!r}")
