"""`data check` and `data prepare` as a user meets them: help, exit codes, and being stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main
from adapt.recipe import find_recipe, load_recipe

IMAGES, MANY_IMAGES = 150, 600
PLACES = ["data.root=pairs", "cache=cache", "output=runs", "trainer.workers=0"]
"""Below the folder that a command runs in."""
# many: preparing them must take longer than a busy machine takes to notice that it has begun


def write_pairs(root: Path, count: int) -> None:
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    labels = np.zeros((64, 64), dtype=np.uint8)
    labels[4:24, 6:26] = 1
    for number in range(count):
        image = np.random.default_rng(number).integers(60, 180, (64, 64), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"cell_{number:03d}.png")
        Image.fromarray(labels).save(root / "labels" / f"cell_{number:03d}.png")


def start(folder: Path, action: str, *more: str) -> subprocess.Popen[str]:
    """A process of its own, on the data and the cache of a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "adapt", "data", action, "--recipe", "folder", *PLACES, *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--help"), ("prepare", "--help")])
def test_help_needs_no_torch(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    program = "import sys; from adapt.cli import main\ntry: main(sys.argv[1:])\nfinally: print('torch' in sys.modules)"
    command = [sys.executable, "-c", program, "data", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ") and done.stdout.endswith("False\n")


def test_a_recipe_that_is_wrong_is_a_wrong_call(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path, "check", "data.kind=foldr"))
    assert code == 2 and "adapt: error: recipe" in err


@pytest.mark.parametrize("action", ["check", "prepare"])
def test_the_recipe_can_be_printed(tmp_path: Path, action: str) -> None:
    code, out, _ = finish(start(tmp_path, action, "--print-config", "seed=5"))
    (tmp_path / "printed.yaml").write_text(out, encoding="utf-8")
    expected = load_recipe(find_recipe("folder"), [*PLACES, "seed=5"])
    assert code == 0 and load_recipe(tmp_path / "printed.yaml") == expected


def test_preparing_prints_what_the_data_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs", 3)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "prepare", "--recipe", "folder", *PLACES]) == 0
    facts = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (facts["samples"], facts["objects"], facts["groups"]) == ("3", "3", "3")
    assert facts["left"] == "out    0 images without objects, 0 small objects, 0 cases that cannot be used"
    assert (tmp_path / facts["store"] / "data.arrow").is_file()
    assert "MB" in facts["size"] and float(facts["seconds"]) >= 0
    assert not (tmp_path / "runs").exists()


def test_unusable_data_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "pairs", 3)
    (tmp_path / "pairs" / "images" / "cell_001.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    assert main(["data", "prepare", "--recipe", "folder", *PLACES]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "1 of 3 cases cannot be used" in printed.err and "Traceback" not in printed.err


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "stores").glob("*.parts/*.json"))


@pytest.mark.slow
def test_what_is_prepared_when_interrupted_is_not_read_again(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", MANY_IMAGES)
    first = start(tmp_path, "prepare")
    while len(_parts(tmp_path)) < 2:
        assert first.poll() is None
        time.sleep(0.002)
    first.send_signal(signal.SIGINT)
    code, _, err = finish(first)
    assert code == 130 and err.endswith("adapt: interrupted\n") and "Traceback" not in err
    ready = [int(part.stem) for part in _parts(tmp_path)]
    assert 2 <= len(ready) < MANY_IMAGES
    for number in ready:  # damaged behind the back of the cache: who reads one of them again fails
        path = tmp_path / "pairs" / "images" / f"cell_{number:03d}.png"
        facts = path.stat()
        path.write_bytes(b"x" * facts.st_size)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    code, out, err = finish(start(tmp_path, "prepare"))
    assert code == 0, err
    assert f"{MANY_IMAGES:,}" in out.splitlines()[0]
    assert not list((tmp_path / "cache" / "stores").glob("*.parts"))


@pytest.mark.slow
def test_two_at_once_make_one_store(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", IMAGES)
    both = [finish(process) for process in [start(tmp_path, "prepare"), start(tmp_path, "prepare")]]
    assert [code for code, _, _ in both] == [0, 0]
    stores = {line for _, out, _ in both for line in out.splitlines() if line.startswith("store")}
    assert len(stores) == 1
    assert len(list((tmp_path / "cache" / "stores").iterdir())) == 1
