"""W&B never stops a run: without a server, a login or an answer it is offline, with one warning."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb
from rich.console import Console

from adapt.callbacks.tracking import finish_wandb, tensorboard_logger, wandb_logger
from adapt.errors import RecipeError
from adapt.recipe import WandbSettings


@pytest.fixture(autouse=True)
def fresh_wandb() -> Iterator[None]:
    """W&B keeps the first server address of a process."""
    wandb.teardown()
    yield
    wandb.teardown()


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


BUCKET = {
    "id": "bucket",
    "name": "run",
    "displayName": "run",
    "config": "{}",
    "historyLineCount": 0,
    "project": {"id": "project", "name": "adapt", "entity": {"id": "team", "name": "team"}},
}


class WandbRoutes(BaseHTTPRequestHandler):
    """As much of W&B's server as a run needs to start."""

    def do_POST(self) -> None:
        query = self.rfile.read(int(self.headers.get("content-length", 0)))
        data = {"upsertBucket": {"bucket": BUCKET, "inserted": True}} if b"upsertBucket" in query else {}
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Not a word on stderr."""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def run_offline(settings: WandbSettings, folder: Path, console: Console) -> None:
    """Log a value and finish; the run must be an offline one."""
    logger, run = wandb_logger(settings, name="x", folder=folder, config={"seed": 1}, console=console)
    logger.log_metrics({"train/loss": 1.0}, step=1)
    assert run.settings.mode == "offline"
    run.finish()
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))


def test_an_unreachable_server_turns_into_offline_with_one_warning(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    run_offline(WandbSettings(), tmp_path, console)
    text = written(console)
    assert text.count("warning") == 1
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


def test_a_server_that_dies_during_the_run_costs_a_warning_and_nothing_else(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), WandbRoutes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    logger, run = wandb_logger(WandbSettings(), name="x", folder=tmp_path, config={}, console=console)
    assert run.settings.mode == "online"
    logger.log_metrics({"train/loss": 1.0}, step=1)
    server.shutdown()
    server.server_close()
    logger.log_metrics({"train/loss": 0.5}, step=2)
    finish_wandb(run, console)
    text = written(console)
    assert text.count("warning") == 1
    assert f"wandb sync {tmp_path}/wandb/run-" in text


def test_offline_by_choice_is_no_warning(tmp_path: Path, console: Console) -> None:
    run_offline(WandbSettings(offline=True), tmp_path, console)
    assert "warning" not in written(console)
    assert "wandb sync" in written(console)


def test_a_missing_extra_is_named(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"adapt-sam\[wandb\]"):
        wandb_logger(WandbSettings(), name="x", folder=tmp_path, config={}, console=console)
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
        _, run = wandb_logger(WandbSettings(offline=True), name="x", folder=folder, config={}, console=console)
        ids.append(run.id)
        run.finish()
    assert ids[0] == ids[1] != ids[2]
    assert len(list((tmp_path / "a" / "wandb").glob(f"offline-run-*-{ids[0]}"))) >= 1
