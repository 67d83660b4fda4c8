"""One entry of the cache: a safetensors file, mapped into memory, with a checksum of what it holds.

Written beside its place and renamed, without waiting for the disk: after a power cut a file may be there and hold
zeros, which the checksum tells, as it tells every other damage; a damaged entry is as good as none.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from adapt.files import permissions
from adapt.segmenters import Hidden

SUFFIX = ".safetensors"
CHECKSUM = "xxh3"


def write_entry(path: Path, hidden: Hidden) -> int:
    """Put an entry in its place, whole or not at all; its size in bytes.

    Args:
        path: of the file; its folder is made.
        hidden: of one image, without the batch dimension, on the CPU.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {str(place): value.contiguous() for place, value in enumerate(hidden)}
    content = save(tensors, metadata={CHECKSUM: _checksum(tuple(tensors.values()))})
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
    """What an entry holds, mapped from the file and read only; None if it is missing, cut short or damaged.

    An entry that is read is marked as used now, which is what eviction goes by.
    """
    try:
        with safe_open(path, "pt") as file:
            hidden = tuple(file.get_tensor(str(place)) for place in range(len(file.keys())))
            if (file.metadata() or {}).get(CHECKSUM) != _checksum(hidden):
                return None
    except (OSError, SafetensorError):
        return None
    with contextlib.suppress(OSError):  # another user's cache can be read, if not marked
        os.utime(path)
    return hidden


def _checksum(hidden: Hidden) -> str:
    key = xxhash.xxh3_64()
    for value in hidden:
        key.update(f"{value.dtype} {tuple(value.shape)}".encode())
        key.update(value.reshape(-1).view(torch.uint8).numpy().data)
    digits: str = key.hexdigest()
    return digits
