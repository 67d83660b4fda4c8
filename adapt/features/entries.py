"""One entry of the cache: a safetensors file, mapped into memory, with a checksum of what it holds.

Written beside its place and renamed, without waiting for the disk: after a power cut a file may be there and hold
zeros, which the checksum tells, as it tells every other damage; a damaged entry is as good as none.
"""

import contextlib
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors.torch import save
from torch import Tensor

from adapt.files import permissions
from adapt.segmenters import Hidden

SUFFIX = ".safetensors"
CHECKSUM = "xxh3"
KINDS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
"""Names of number formats in a safetensors file, of those that the cache keeps."""
MARKED = 60.0
"""Seconds for which an entry that was marked as used is not marked again: marking costs a tenth of reading."""


def write_entry(path: Path, hidden: Hidden) -> int:
    """Put an entry in its place, whole or not at all; its size in bytes.

    Args:
        path: of the file; its folder is made.
        hidden: of one image, without the batch dimension, on the CPU.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {str(place): value.contiguous() for place, value in enumerate(hidden)}
    values = list(tensors.values())
    raw = [value.reshape(-1).view(torch.uint8).numpy().data for value in values]
    checksum = _checksum(values, raw)
    content = save(tensors, metadata={CHECKSUM: checksum})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=SUFFIX)  # one that is left behind is evicted
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(permissions(0o666))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(content)


def read_entry(path: Path) -> Hidden | None:
    """What an entry holds, mapped from the file; None if it is missing, cut short or damaged.

    An entry that is read is marked as used, to the minute, which is what eviction goes by.
    """
    try:
        about = os.stat(path)
        # private: who wrote into it would write into a copy of the page
        storage: Any = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=about.st_size)
        hidden = _checked(torch.empty(0, dtype=torch.uint8).set_(storage))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # whatever damage may lead to
        return None
    if hidden is not None and about.st_mtime < time.time() - MARKED:
        with contextlib.suppress(OSError):  # another user's cache can be read, if not marked
            os.utime(path)
    return hidden


def _checked(mapped: Tensor) -> Hidden | None:
    """Tensors of a safetensors file, (bytes,) uint8, as views of it; None if the checksum is another.

    The library's own reader maps each file twice, which takes as long as the checksum.
    """
    content = mapped.numpy().data
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8:begin]))
    checksum = header.pop("__metadata__")[CHECKSUM]
    hidden: list[Tensor] = []
    raw = []
    for place in range(len(header)):
        entry = header[str(place)]
        kind, shape = KINDS[entry["dtype"]], entry["shape"]
        first, end = (begin + offset for offset in entry["data_offsets"])
        if first % kind.itemsize or not begin <= first <= end <= len(content):
            return None
        if end - first != math.prod(shape) * kind.itemsize:
            return None
        raw.append(content[first:end])
        value: Any = torch.empty(0, dtype=kind)  # set_ without strides, that is contiguous, is not in torch's stubs
        hidden.append(value.set_(mapped.untyped_storage(), first // kind.itemsize, shape))
    return tuple(hidden) if checksum == _checksum(hidden, raw) else None


def _checksum(hidden: Sequence[Tensor], contents: Sequence[memoryview]) -> str:
    """Of some tensors, whose bytes are given."""
    key = xxhash.xxh3_64()
    for value, content in zip(hidden, contents, strict=True):
        key.update(f"{value.dtype} {tuple(value.shape)}".encode())
        key.update(content)
    digits: str = key.hexdigest()
    return digits
