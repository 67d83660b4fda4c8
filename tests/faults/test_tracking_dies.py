"""W&B out of reach, dying, failing, crashing, or never answering again: a whole run finishes, and hardly later."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest
from wandb_server import WandbRoutes, gone, wandb_server

pytestmark = pytest.mark.slow

LONGEST = 15.0
"""Seconds that tracking may add to a run."""
RUN = """
import atexit
import os
import resource
import signal
import sys
import time
from pathlib import Path

import wandb  # of whatever it takes, a run whose server answers takes as much

spent, ended = [], []


def told_at_the_very_end():
    cpu = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    waited = sum(spent) + time.monotonic() - ended[0]
    print("spent", waited, sum(use.ru_utime + use.ru_stime for use in cpu), flush=True)


atexit.register(told_at_the_very_end)  # the first one runs last

from adapt.build import training
from adapt.callbacks.tracking import WandbTracker
from adapt.cli import main
from adapt.task import AdaptTask


def timed(place, name):
    real = getattr(place, name)

    def measured(*arguments, **more):
        begun = time.monotonic()
        try:
            return real(*arguments, **more)
        finally:
            spent.append(time.monotonic() - begun)

    setattr(place, name, measured)


def told(self, batch, batch_idx):
    if self.global_step == 3:
        Path(sys.argv[1]).touch()
        time.sleep(1)  # until the server is gone
        if sys.argv[2] == "crashed":
            wandb.setup().ensure_service()._proc._process.send_signal(signal.SIGKILL)
    return step(self, batch, batch_idx)


step, AdaptTask.training_step = AdaptTask.training_step, told
timed(training, "wandb_tracker")
for name in ("log_metrics", "log_gallery", "finish"):
    timed(WandbTracker, name)
code = main(sys.argv[3:])
ended.append(time.monotonic())
sys.exit(code)
"""


@dataclass(frozen=True)
class Tracked:
    """A whole fit: its exit code, what it said, and what tracking took.

    Attributes:
        waited: seconds in which the run waited for tracking, and of all that happened between its end and that of its
            process. Two whole runs on a busy machine differ by more than what is looked for.
        cpu: seconds of the whole process and what it started.
    """

    code: int
    said: str
    waited: float
    cpu: float


def run(place: Path, folder: Path, port: int, way: str, *more: str) -> Tracked:
    """Fit with a server at this port; the file `middle` of the folder appears in the third step."""
    overrides = ["tracking=wandb", f"output={folder}/runs", f"cache={place}/cache", *more]
    arguments = [str(folder / "middle"), way, "fit", "--recipe", str(place / "small.yaml"), *overrides]
    login = {"WANDB_BASE_URL": f"http://127.0.0.1:{port}", "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | login,
        timeout=900,
    )
    _, spent, seconds = done.stdout.rpartition("spent ")
    assert spent, done.stderr
    waited, cpu = map(float, seconds.split())
    return Tracked(done.returncode, done.stderr, waited, cpu)


@pytest.fixture(scope="module")
def healthy(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """What the same fit takes with a server that answers; without galleries and tables, of which it knows nothing."""
    folder = tmp_path_factory.mktemp("healthy")
    with wandb_server() as server:
        found = run(place, folder, server.server_port, "", "evaluation.gallery_every=0", "wandb.objects=false")
    assert found.code == 0 and "W&B" not in found.said, found.said
    return found


@contextmanager
def server_until(middle: Path, way: str) -> Iterator[int]:
    """The port of a server that dies, fails or falls silent when a file appears."""
    over = Event()
    with wandb_server() as server:

        def watch() -> None:
            while not middle.exists() and not over.wait(0.05):
                pass
            match way:
                case "dead":
                    gone(server)
                case "silent":
                    WandbRoutes.silent.set()
                case "failing":
                    WandbRoutes.failing.set()

        watcher = Thread(target=watch)
        watcher.start()
        try:
            yield server.server_port
        finally:
            over.set()
            watcher.join()


def test_a_server_that_cannot_be_reached_adds_seconds_at_most(
    place: Path, tmp_path: Path, healthy: Tracked, measured: Callable[..., None]
) -> None:
    with wandb_server() as server:
        pass  # nobody listens there now
    found = run(place, tmp_path, server.server_port, "")
    added = found.waited - healthy.waited
    measured("W&B unreachable", finished=found.code == 0, added=added, cpu=found.cpu - healthy.cpu)
    assert found.code == 0 and added < LONGEST
    assert found.said.count("W&B is offline") == 1 and "wandb sync" in found.said
    assert list(tmp_path.glob("runs/small/*/report.html"))


@pytest.mark.parametrize("way", ["dead", "silent", "failing", "crashed"])
def test_a_server_that_is_lost_in_the_middle_adds_seconds_at_most(
    place: Path, tmp_path: Path, healthy: Tracked, measured: Callable[..., None], way: str
) -> None:
    with server_until(tmp_path / "middle", way) as port:
        found = run(place, tmp_path, port, way)
    added = found.waited - healthy.waited
    measured("W&B dying", finished=found.code == 0, added=added, cpu=found.cpu - healthy.cpu)
    assert found.code == 0 and added < LONGEST
    assert found.said.count("W&B has not taken the whole run") == 1 and "wandb sync" in found.said
    assert "Traceback" not in found.said
    assert list(tmp_path.glob("runs/small/*/report.html"))
