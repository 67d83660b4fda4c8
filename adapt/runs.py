"""The folder of a run: `output/<recipe>/<time>/`."""

import errno
import fcntl
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from safetensors import SafetensorError

from adapt.errors import RunError
from adapt.files import ELSEWHERE, permissions
from adapt.unwritable import unwritable

RECIPE, VERSIONS, SPLITS, MODEL, ADAPTER, CHECKPOINTS, STAGES, GALLERY, REPORT, TRAINING, LOCK, THRESHOLDS = (
    "recipe.yaml",
    "versions.json",
    "splits.json",
    "model",
    "adapter",
    "checkpoints",
    "stages",
    "gallery",
    "report.html",
    "training.json",
    "run.lock",
    "thresholds.json",
)

HALF_WRITTEN = re.compile(rf"\.({MODEL}|{ADAPTER}|[\w-]+\.(json|jsonl|yaml|csv|html|txt|png))\.[a-z0-9_]{{8}}")
"""Names of what `write_file` and `write_folder` have begun: a dot, the name that it will have, and eight letters."""
TAKEN = (errno.EACCES, errno.EAGAIN)
"""What a lock says that another process holds; some file systems of clusters have no locks at all."""

VERSIONED = ("torch", "lightning", "transformers", "peft", "datasets", "albumentations", "numpy", "pillow")


def check_writable(output: Path) -> None:
    """Fail before the data is read rather than after training.

    Raises:
        RunError: `output` or what it would be created in cannot be written.
    """
    try:
        existing = next(path for path in (output, *output.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise _not_writable(output, error) from None


def new_run_folder(output: Path, name: str) -> Path:
    """A new, empty folder `output/name/<time>`; a second run in the same second gets `-2`.

    Raises:
        RunError: it cannot be created.
    """
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    try:
        (output / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(output, error) from None
    for number in range(1, 1000):
        folder = output / name / (stamp if number == 1 else f"{stamp}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_writable(output, error) from None
        return folder
    raise RunError(f"{output / name} holds a thousand runs of this second; set output=/another/folder")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a run to this process, and remove what a killed one has left half written there.

    The system frees the lock with the process that holds it, however that ends. Hidden files of anybody else stay.

    Raises:
        RunError: another process works on the run; or its folder cannot be written.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _not_writable(folder, error) from None
    try:
        _lock(lock, folder)
        for stray in [*folder.glob(".*"), *folder.glob(f"{STAGES}/*/.*")]:
            if not HALF_WRITTEN.fullmatch(stray.name):
                continue
            if stray.is_dir() and not stray.is_symlink():
                shutil.rmtree(stray)
            else:
                stray.unlink()
        yield
    finally:
        os.close(lock)


def _lock(file: int, folder: Path) -> None:
    """Take the lock, and write down who has it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            raise RunError(f"{folder} is being worked on by {holder}; wait for it, or end it") from None
    try:
        os.truncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    except OSError as error:
        raise _not_writable(folder, error) from None


def _not_writable(output: Path, error: Exception) -> RunError:
    return RunError(unwritable(f"run folder {output}", error, ELSEWHERE))


def write_folder(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder, and put it in place when it is complete.

    Raises:
        RunError: it cannot be written; the target is then as it was.
    """
    try:
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise _not_writable(target, error) from None
    try:
        write(temporary)
        for path in temporary.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        temporary.chmod(permissions(0o777))
        os.rename(temporary, target)
    except (OSError, SafetensorError) as error:  # what safetensors raises on a full disk is no OSError
        raise _not_writable(target, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def versions() -> dict[str, str]:
    """Version of this package and of what a result depends on, and the machine."""
    return {
        "adapt": importlib.metadata.version("adapt-sam"),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in VERSIONED},
        "platform": platform.platform(),
    }
