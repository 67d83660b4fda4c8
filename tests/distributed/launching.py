"""Fits of several processes, started as people start them."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PLAIN = (sys.executable, "-m", "adapt")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "adapt")
LONGEST = 400
RECIPE = """\
model: {checkpoint: adapt:tiny, input_size: 64}
data: {kind: folder, root: adapt:shapes_folder}
split: {validation: 0.2, test: 0.1}
augment: {horizontal_flip: 0.5}
prompts: {corrections: 0, idle_rounds: 0}
optimizer: {learning_rate: 1e-3, warmup_steps: 2}
trainer: {epochs: 3, batch_size: 2, objects_per_image: 2, workers: 0, accelerator: cpu, checkpoint_minutes: 60}
evaluation:
  gallery: 0
  gallery_every: 0
  following_images: 0
  bootstrap_samples: 100
  retention: {images: 0}
  automatic: {images: 2, points_per_side: 4}
"""
"""17 images to train on, so the last step of an epoch has one: one of two processes has none."""


@contextmanager
def launched(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A command whose output goes to a file; nothing of it is left in the end."""
    changed = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            env={**os.environ, **changed, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # its own session, so nobody else is in the group
        except ProcessLookupError:
            pass
        process.wait()


def ended(command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None) -> int:
    """The exit code of a command."""
    with launched(command, log, environment=environment) as process:
        return process.wait(LONGEST)


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something has come about, as long as the process lives."""
    limit = time.monotonic() + LONGEST
    while not condition():
        assert process.poll() is None and time.monotonic() < limit, log.read_text(encoding="utf-8")
        time.sleep(0.02)


def only_run(output: Path) -> Path:
    """The folder of the only run there is."""
    (folder,) = output.glob("*/*")
    return folder


def newest_checkpoint(output: Path) -> str:
    """Name of the newest checkpoint that counts; empty if there is none."""
    return max((path.stem for path in output.glob("*/*/checkpoints/*.json")), default="")


def fingerprint(folder: Path) -> str:
    """Of a run's weights, all their bits."""
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
