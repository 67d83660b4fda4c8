"""Processes that load data die, stall, or find no shared memory: a clear end, and nothing is left behind."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import Fit

from adapt.datamodules.epoch_sampler import Key
from adapt.datamodules.prepared_samples import PreparedSamples
from adapt.samples import Batch

pytestmark = pytest.mark.slow

SECONDS = 30
SMALL = 256 * 1024
"""Bytes of /dev/shm: less than a batch takes."""


def left_in_shared_memory() -> list[str]:
    """Files of tensors whose process is gone: torch_<process>_..."""
    names = [name for name in os.listdir("/dev/shm") if name.startswith("torch_")]
    return [name for name in names if not Path(f"/proc/{name.split('_')[1]}").exists()]


@pytest.mark.parametrize(("dies", "said"), [(True, "has died"), (False, "gave nothing for")])
def test_a_worker_that_dies_or_stalls_ends_the_run_with_a_clear_message(
    fit: Fit,
    the_run: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    dies: bool,
    said: str,
) -> None:
    real, calls, hurts = PreparedSamples.__getitem__, list[Key](), tmp_path / "hurts"

    def hurt(self: PreparedSamples, key: Key) -> Batch:
        calls.append(key)
        if multiprocessing.parent_process() is not None and len(calls) == 6:  # of this worker
            hurts.touch()
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(10_000)
        return real(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(PreparedSamples, "__getitem__", hurt)
        code = fit("trainer.workers=2", "trainer.loader_timeout=3", "trainer.batch_size=1")
    seconds = time.time() - hurts.stat().st_mtime
    named = said in capsys.readouterr().err
    leaked = len(multiprocessing.active_children()) + len(left_in_shared_memory())
    if dies:
        measured("worker killed", named=code == 1 and named, seconds=seconds, leaked=leaked)
    assert (code, named, leaked) == (1, True, 0) and seconds < SECONDS
    assert fit(resume=the_run()) == 0


def test_if_shared_memory_is_full_the_run_says_so_at_once(
    place: Path, straight: Path, tmp_path: Path, measured: Callable[..., None]
) -> None:
    """In a room of its own, whose /dev/shm is as small as that of many containers."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("needs the right to give a process a /dev/shm of its own")
    mounted = f"mount -t tmpfs -o size={SMALL} tmpfs /dev/shm || exit 77"
    listed = 'code=$?; find /dev/shm -name "torch_*" | wc -l; exit $code'
    command = ["unshare", "--mount", "sh", "-c", f'{mounted}; "$@"; {listed}', "sh"]
    command += [sys.executable, "-m", "adapt", "fit", "--recipe", str(place / "small.yaml"), "trainer.workers=2"]
    begun, told = 0.0, []
    with subprocess.Popen(
        [*command, f"output={tmp_path}/runs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stderr:
            begun = time.monotonic() if line.startswith("run folder") else begun  # the last line before training
            told.append(line)
        files = process.stdout.read().split()
        code = process.wait()
        seconds = time.monotonic() - begun
    if code == 77:
        pytest.skip("needs the right to mount a /dev/shm of its own")
    named = [line for line in told if line.startswith("adapt: error: /dev/shm is full (unable to allocate")]
    leaked = int(files[-1])
    try:
        os.killpg(process.pid, signal.SIGKILL)
        leaked += 1
    except ProcessLookupError:  # nobody of it is left
        pass
    measured("shared memory full", named=len(named) == 1, seconds=seconds, leaked=leaked)
    assert (code, len(named), leaked) == (1, 1, 0), "".join(told)
    assert "--shm-size" in named[0] and "trainer.workers=0" in named[0]
    assert seconds < SECONDS
