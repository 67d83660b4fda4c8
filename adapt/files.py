"""Write a file whole or not at all; and let one process at a time do something."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from adapt.errors import RunError
from adapt.unwritable import unwritable

ELSEWHERE = "or set output=/another/folder"


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file in the same folder, flush it to the disk, and put it in place.

    A reader, or a machine that stops at any moment, finds the old content or the new, never a part.

    Raises:
        RunError: the folder cannot be written, or the disk is full; the old content is still there.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise RunError(unwritable(path, error, ELSEWHERE)) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(permissions(0o666))
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(unwritable(path, error, ELSEWHERE)) from None
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(path: Path, *, then: str = ELSEWHERE) -> None:
    """Make a folder and those above it, where they are missing.

    Args:
        path: of the folder.
        then: what else can be done where it cannot be made; see `unwritable`.

    Raises:
        RunError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(unwritable(path, error, then)) from None


def permissions(mode: int) -> int:
    """What the user's umask leaves of a mode; temporary files and folders are private whatever it says."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask


def write_text(path: Path, text: str) -> None:
    """`write_file` for UTF-8 text."""
    write_file(path, lambda file: file.write(text.encode()))


@contextlib.contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """Wait until no other process holds this lock, and hold it; the system frees it with the process that does.

    It spares work that would be done twice, and nothing else: where a file system has no locks, none is waited for.

    Args:
        path: of the file to lock; it is made, with its folder, and stays.

    Raises:
        OSError: it cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        with contextlib.suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield
