"""kill -9, at random moments and in the middle of a save: nothing unreadable, nothing stray, the same weights."""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ready_processes import READY
from small_runs import fingerprint, soaked, strays

from adapt import files
from adapt.callbacks.kept import kept_checkpoints, verify
from adapt.cli import main
from adapt.errors import CheckpointError
from adapt.jobs import fit
from adapt.samples import Batch
from adapt.task import AdaptTask

pytestmark = pytest.mark.slow

LONGEST = 900
DISKS = (Path("/dev/shm"), Path("/var/tmp"), Path.home())


def fit_in_process(arguments: list[str], log: Path, temporary: str, dies_in_flush: int) -> None:
    """What a process of its own runs. It may kill itself half-way through the so-manieth file that it writes."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    multiprocessing.set_start_method("fork", force=True)  # else its workers come from a server, too
    tempfile.tempdir = temporary
    os.environ["TMPDIR"] = temporary
    fit.compare = lambda *arguments, **more: None  # type: ignore[assignment]
    real, flushes = files.os.fsync, [dies_in_flush]

    def flush(file: int) -> None:
        flushes[0] -= 1
        if flushes[0] == 0:
            os.truncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        real(file)

    files.os.fsync = flush  # type: ignore[assignment]
    step = AdaptTask.training_step

    def noted(self: AdaptTask, batch: Batch, batch_idx: int) -> object:
        log.with_name("steps").write_text(str(self.global_step + 1), encoding="utf-8")
        return step(self, batch, batch_idx)

    AdaptTask.training_step = noted  # type: ignore[method-assign, assignment]
    sys.exit(main(["fit", *arguments]))


def start(arguments: list[str], folder: Path, *, temporary: str, dies_in_flush: int = 0) -> multiprocessing.Process:
    process = READY.Process(target=fit_in_process, args=(arguments, folder / "log", temporary, dies_in_flush))
    process.start()
    return process  # type: ignore[return-value]


def another_disk(than: Path) -> Path | None:
    """A folder on another file system; None where there is none."""
    return next((disk for disk in DISKS if disk.is_dir() and disk.stat().st_dev != than.stat().st_dev), None)


def unreadable_checkpoints(folder: Path) -> tuple[int, int]:
    """How many are not what their manifests say, and the steps of the newest one."""
    damaged: list[str] = []
    found = kept_checkpoints(folder, tell=damaged.append)
    for kept in found:
        try:
            verify(kept)
        except CheckpointError as error:
            damaged.append(str(error))
    return len(damaged), found[-1].place.steps if found else 0


@pytest.mark.parametrize("seed", range(soaked(2, 30)))
def test_a_killed_run_goes_on_to_the_same_weights(
    place: Path, straight: Path, tmp_path: Path, measured: Callable[..., None], seed: int
) -> None:
    """Half are killed at a random moment, half while they save; of both, half with TMPDIR on another disk.

    A checkpoint is saved at each step, so a save interval is a step.
    """
    chance = random.Random(seed)
    while_saving, disk = seed % 2 == 0, another_disk(tmp_path) if seed % 4 >= 2 else None
    with tempfile.TemporaryDirectory(dir=disk) as temporary:  # a socket's path is short
        arguments = ["--recipe", str(place / "small.yaml"), f"output={tmp_path}/runs", "trainer.workers=2"]
        flush = chance.randrange(4, 20) if while_saving else 0  # recipe, versions and splits are flushed first
        process = start(arguments, tmp_path, temporary=temporary, dies_in_flush=flush)
        if not while_saving:
            limit = time.monotonic() + LONGEST
            while process.is_alive() and not list(tmp_path.glob("runs/small/*/recipe.yaml")):
                assert time.monotonic() < limit
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 5))
            process.kill()
        process.join(LONGEST)
        assert process.exitcode in (-signal.SIGKILL, 0), (tmp_path / "log").read_text(encoding="utf-8")
        (folder,) = (tmp_path / "runs" / "small").iterdir()
        unreadable, saved = unreadable_checkpoints(folder / "checkpoints")
        begun = tmp_path / "steps"
        lost = (int(begun.read_text(encoding="utf-8") or 0) if begun.exists() else 0) - saved
        if process.exitcode:
            process = start(["--resume", str(folder)], tmp_path, temporary=temporary)
            process.join(LONGEST)
        done = process.exitcode == 0
        identical = done and fingerprint(folder) == fingerprint(straight)
        left = [*strays(folder), *Path(temporary).rglob("*.ckpt*")]
        measured(
            "killed",
            unreadable=unreadable,
            identical=identical,
            lost=lost,
            strays=len(left),
            while_saving=while_saving,
            elsewhere=disk is not None,
        )
        assert done, (tmp_path / "log").read_text(encoding="utf-8")
        assert (unreadable, identical, left) == (0, True, [])
        assert lost <= 1
