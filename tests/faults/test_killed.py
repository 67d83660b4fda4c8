"""kill -9, at random moments and in the middle of a save: nothing unreadable, nothing stray, the same weights."""

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest
from small_runs import fingerprint, soaked, strays

from adapt import files, workflow
from adapt.callbacks.kept import kept_checkpoints, verify
from adapt.cli import main

pytestmark = pytest.mark.slow

LONGEST = 300
OTHER_DISK = Path("/dev/shm")


def fit_in_process(arguments: list[str], log: Path, temporary: str, dies_in_flush: int) -> None:
    """What a process of its own runs. It may kill itself half-way through the so-manieth file that it writes."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    tempfile.tempdir = temporary
    os.environ["TMPDIR"] = temporary
    workflow.compare = lambda *arguments, **more: None  # type: ignore[assignment]
    real, flushes = files.os.fsync, [dies_in_flush]

    def flush(file: int) -> None:
        flushes[0] -= 1
        if flushes[0] == 0:
            os.truncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        real(file)

    files.os.fsync = flush  # type: ignore[assignment]
    sys.exit(main(["fit", *arguments]))


def start(arguments: list[str], folder: Path, *, temporary: str, dies_in_flush: int = 0) -> multiprocessing.Process:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["adapt.workflow", "test_killed"])
    process = context.Process(target=fit_in_process, args=(arguments, folder / "log", temporary, dies_in_flush))
    process.start()
    return process  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(soaked(2, 30)))
def test_a_killed_run_goes_on_to_the_same_weights(place: Path, straight: Path, tmp_path: Path, seed: int) -> None:
    """Half are killed at a random moment, half while they save; of both, half with TMPDIR on another disk."""
    chance = random.Random(seed)
    while_saving, elsewhere = seed % 2 == 0, seed % 4 >= 2 and OTHER_DISK.is_dir()
    with tempfile.TemporaryDirectory(dir=OTHER_DISK if elsewhere else None) as temporary:  # a socket's path is short
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
        for kept in kept_checkpoints(folder / "checkpoints", tell=pytest.fail):
            verify(kept)
        if process.exitcode:
            process = start(["--resume", str(folder)], tmp_path, temporary=temporary)
            process.join(LONGEST)
        assert process.exitcode == 0, (tmp_path / "log").read_text(encoding="utf-8")
        assert fingerprint(folder) == fingerprint(straight)
        assert strays(folder) == []
        assert not list(Path(temporary).rglob("*.ckpt*"))
