"""`adapt demo` as people start it, and what they get wrong."""

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main
from adapt.recipe import as_yaml, find_recipe, load_recipe


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((40, 50, 3), 90, dtype=np.uint8)).save(path)
    return path


def error_of(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert main(("demo", *arguments)) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.split("adapt: error: ", 1)[1]


def test_a_run_without_a_model_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text(as_yaml(load_recipe(find_recipe("quickstart"))), encoding="utf-8")
    text = error_of(capsys, 1, str(tmp_path))
    assert "has not finished its training" in text and f"adapt fit --resume {tmp_path}" in text


def test_a_folder_that_is_neither_run_nor_checkpoint_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "neither the folder of a run (it has no recipe.yaml) nor of a checkpoint" in error_of(
        capsys, 1, str(tmp_path)
    )


def test_a_port_in_use_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = error_of(capsys, 1, "adapt:tiny", "--port", str(port))
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use)" in text and "--port 0" in text


@pytest.mark.parametrize(
    ("given", "fault"), [("70000", "less than or equal to 65535"), ("-1", "greater than or equal")]
)
def test_a_port_that_cannot_be_is_a_wrong_call(given: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = error_of(capsys, 2, "adapt:tiny", f"--port={given}")
    assert "demo.port" in text and fault in text


@pytest.mark.parametrize(
    ("images", "fault"), [("missing", "no such file or folder"), ("adapt:ct", "generated data: adapt:ct_phantom")]
)
def test_images_that_are_not_there_are_named(images: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fault in error_of(capsys, 1, "adapt:tiny", "--port", "0", "--images", images)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("adapt.demo.page", "adapt.demo.server"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'adapt-sam[demo]'" in error_of(capsys, 1, "adapt:tiny", "--port", "0")


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command, once it has said where its page is."""
    command = [sys.executable, "-m", "adapt", "demo", *arguments, "--port", "0", "trainer.accelerator=cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            found = re.match(r"http://127\.0\.0\.1:(\d+)/ shows untouched of adapt:tiny; Ctrl-C ends it", line)
            assert found, line + process.stdout.read()
            yield process, int(found[1])
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(
    ended_by: signal.Signals, code: int, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with started("adapt:tiny", "--images", str(picture)) as (process, port):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", "/")
            response = connection.getresponse()
            content = response.read().decode()
        assert response.status == 200 and "grey.png" in content and str(picture.parent) not in content
        assert list((tmp_path / "temporary").glob("adapt-demo-*"))
        process.send_signal(ended_by)
        assert process.wait(timeout=60) == code
        assert process.stdout is not None and "Traceback" not in process.stdout.read()
    assert not list((tmp_path / "temporary").glob("adapt-demo-*"))
