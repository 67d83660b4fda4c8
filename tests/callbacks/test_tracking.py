"""W&B never stops a run: without a server, a login or an answer it is offline, with one warning."""

import gc
import io
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import wandb
from rich.console import Console
from wandb_server import WandbRoutes, gone, wandb_server

from adapt.callbacks.galleries import GalleryEntry
from adapt.callbacks.tracking import (
    NoAnswerError,
    WandbTracker,
    has_taken_all,
    tensorboard_logger,
    wandb_tracker,
    within,
)
from adapt.errors import RecipeError
from adapt.recipe import WandbSettings


@pytest.fixture(autouse=True)
def fresh_wandb() -> Iterator[None]:
    """W&B keeps the first server address of a process."""
    wandb.teardown()
    yield
    wandb.teardown()  # fails if W&B's own process has crashed and was not let go of
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # nobody waits for a process of W&B that was let go of
        gc.collect()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def begun(folder: Path, console: Console, settings: WandbSettings | None = None) -> WandbTracker:
    tracker = wandb_tracker(settings or WandbSettings(), name="x", folder=folder, config={"seed": 1}, console=console)
    assert tracker is not None
    return tracker


def run_offline(settings: WandbSettings, folder: Path, console: Console) -> None:
    """Log a value and finish; the run must be an offline one."""
    tracker = begun(folder, console, settings)
    tracker.log_metrics({"train/loss": 1.0}, step=1)
    assert tracker.offline
    tracker.finish()
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A server that answers, until it is called: then nobody listens there."""
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
        yield lambda: gone(server)


def services() -> list[int]:
    """Processes of W&B that this one has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, rest = status.read_text(encoding="utf-8").split(" (", 1)
        except OSError:  # it has ended
            continue
        name, fields = rest.rsplit(") ", 1)
        if name == "wandb-core" and int(fields.split()[1]) == os.getpid() and fields[0] != "Z":
            found.append(int(number))
    return found


def test_an_unreachable_server_turns_into_offline_with_one_warning(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    run_offline(WandbSettings(), tmp_path, console)
    text = written(console)
    assert text.count("warning") == 1
    assert not has_taken_all(tmp_path)
    assert f"127.0.0.1:{port} cannot be reached" in text
    assert f"wandb sync {tmp_path}/wandb/offline-run-" in text


def test_a_server_that_never_answers_turns_into_offline(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch, silent_server: int
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent_server}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    run_offline(WandbSettings(), tmp_path, console)
    assert written(console).count("warning") == 1


def test_a_missing_login_turns_into_offline_instead_of_a_question(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch, silent_server: int
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent_server}")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    run_offline(WandbSettings(), tmp_path, console)
    assert "no login" in written(console)


def test_a_server_that_always_fails_turns_into_offline(
    tmp_path: Path, console: Console, online: Callable[[], None]
) -> None:
    WandbRoutes.failing.set()
    run_offline(WandbSettings(), tmp_path, console)
    assert written(console).count("warning") == 1


def test_a_server_that_answers_costs_no_warning(tmp_path: Path, console: Console, online: Callable[[], None]) -> None:
    tracker = begun(tmp_path, console)
    assert not tracker.offline
    tracker.log_metrics({"train/loss": 1.0}, step=1)
    tracker.finish()
    assert written(console) == ""
    assert has_taken_all(tmp_path)


@pytest.mark.parametrize("way", ["dead", "silent", "failing"])
def test_a_server_that_is_lost_during_the_run_costs_a_warning_and_nothing_else(
    tmp_path: Path, console: Console, online: Callable[[], None], way: str
) -> None:
    tracker = begun(tmp_path, console)
    tracker.log_metrics({"train/loss": 1.0}, step=1)
    {"dead": online, "silent": WandbRoutes.silent.set, "failing": WandbRoutes.failing.set}[way]()
    tracker.log_metrics({"train/loss": 0.5}, step=2)
    started = time.monotonic()
    tracker.finish()
    assert time.monotonic() - started < 10  # its limits are 6 s
    text = written(console)
    assert text.count("warning") == 1
    assert f"wandb sync {tmp_path}/wandb/run-" in text
    assert not has_taken_all(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_of_wandb_that_dies_or_freezes_costs_a_warning_and_seconds(
    tmp_path: Path, console: Console, how: signal.Signals
) -> None:
    tracker = begun(tmp_path, console, WandbSettings(offline=True))
    (service,) = services()
    os.kill(service, how)
    started = time.monotonic()
    try:
        for step in range(200):
            tracker.log_metrics({f"train/{'long' * 100}{i}": 1.0 for i in range(100)}, step=step)  # no pipe holds it
        tracker.finish()
    finally:
        if how == signal.SIGSTOP:
            os.kill(service, signal.SIGKILL)
    assert time.monotonic() - started < 15  # its limits are 11 s
    assert written(console).count("warning") == 1
    assert "W&B has not taken the whole run" in written(console)


def test_a_folder_that_takes_no_files_costs_a_warning_and_the_tracking(tmp_path: Path, console: Console) -> None:
    (tmp_path / "wandb").write_text("in the way", encoding="utf-8")
    settings = WandbSettings(offline=True)
    assert wandb_tracker(settings, name="x", folder=tmp_path, config={}, console=console) is None
    assert "training goes on without it" in written(console)


def test_a_gallery_that_cannot_be_made_costs_a_warning(tmp_path: Path, console: Console) -> None:
    tracker = begun(tmp_path, console, WandbSettings(offline=True))
    mask = np.ones((2, 2), bool)
    gone = GalleryEntry(tmp_path / "gone.png", np.zeros((2, 2, 3), np.uint8), mask, mask, "a", "cell", "box", 0.5)
    tracker.log_gallery([gone], epoch=1)
    tracker.log_metrics({"train/loss": 1.0}, step=1)
    tracker.finish()
    assert written(console).count("warning") == 1 and "gone.png" in written(console)


def test_a_call_is_waited_for_as_long_as_it_may_take_and_whatever_it_raises_is_one_error() -> None:
    def fail() -> NoReturn:
        sys.exit(2)

    assert within(5, lambda: 3) == 3
    with pytest.raises(NoAnswerError, match="no answer within 0 s"):
        within(0.05, lambda: time.sleep(1))
    with pytest.raises(NoAnswerError, match="2"):
        within(5, fail)


def test_offline_by_choice_is_no_warning(tmp_path: Path, console: Console) -> None:
    run_offline(WandbSettings(offline=True), tmp_path, console)
    assert "warning" not in written(console)
    assert "wandb sync" in written(console)


def test_a_missing_extra_is_named(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"adapt-sam\[wandb\]"):
        wandb_tracker(WandbSettings(), name="x", folder=tmp_path, config={}, console=console)
    with pytest.raises(RecipeError, match=r"adapt-sam\[tensorboard\]"):
        tensorboard_logger(tmp_path)


def test_tensorboard_writes_its_files(tmp_path: Path) -> None:
    logger = tensorboard_logger(tmp_path)
    logger.log_metrics({"train/loss": 1.0}, step=1)
    logger.finalize("success")
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_a_resumed_run_goes_on_under_its_id(tmp_path: Path, console: Console) -> None:
    ids = []
    for folder in (tmp_path / "a", tmp_path / "a", tmp_path / "b"):
        folder.mkdir(exist_ok=True)
        tracker = begun(folder, console, WandbSettings(offline=True))
        ids.append(tracker.version)
        tracker.finish()
    assert ids[0] == ids[1] != ids[2]
    assert len(list((tmp_path / "a" / "wandb").glob(f"offline-run-*-{ids[0]}"))) >= 1


def test_a_model_that_cannot_be_sent_costs_a_warning(tmp_path: Path, console: Console) -> None:
    tracker = begun(tmp_path, console, WandbSettings(offline=True))
    tracker.log_outcome({"test/box/tuned/miou": 0.5}, [{"prompt": "box", "tuned": 0.5}], model=tmp_path / "gone")
    tracker.finish()
    assert written(console).count("warning") == 1 and "gone" in written(console)
