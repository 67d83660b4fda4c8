"""Preparing in several processes gives the same store as in one, and survives being stopped."""

import io
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from adapt.datamodules import Case, Source
from adapt.datamodules import prepare as prepare_module
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.samples import Sample

QUIET = Console(file=io.StringIO())


def read_case(number: int, *, folder: Path, seconds: float = 0) -> Case:
    """A case that notes by whom it is read."""
    with (folder / "reads.txt").open("a") as file:
        file.write(f"{number} {os.getpid()}\n")
    time.sleep(seconds)
    if number % 5 == 4:
        raise DataError(f"case {number} is bad")
    random = np.random.default_rng(number)
    sample = Sample(
        image=random.integers(0, 256, (9, 8, 3), dtype=np.uint8),
        masks=np.ones((1, 9, 8), dtype=bool),
        categories=("cell",),
        group=str(number),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=f"{number}",
        source="none",
    )
    return Case(samples=iter([sample]), small_objects=number)


def kill_process(number: int) -> Case:
    """What the kernel does to a process that wants too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Case(samples=[])


def full_disk(folder: Path) -> Case:
    """Fails while another case is at work."""
    while not (folder / "at work").exists():
        time.sleep(0.01)
    raise OSError(28, "No space left on device")


def long_case(folder: Path) -> Case:
    (folder / "at work").touch()
    time.sleep(0.5)
    (folder / "done").touch()
    raise DataError("nothing here")


def source(folder: Path, count: int, seconds: float = 0) -> Source:
    cases = [partial(read_case, number, folder=folder, seconds=seconds) for number in range(count)]
    return Source(inputs=[], cases=cases)


def reads(folder: Path) -> list[tuple[int, int]]:
    lines = (folder / "reads.txt").read_text(encoding="utf-8").splitlines()
    return [(int(number), int(process)) for number, process in map(str.split, lines)]


def test_several_processes_make_the_same_store_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE", 0.0)
    stores = [
        open_or_make(
            source(tmp_path, 12), settings={}, cache=tmp_path / name, console=QUIET, on_error="skip", workers=workers
        )
        for name, workers in (("one", 0), ("two", 2))
    ]
    assert stores[0].facts == stores[1].facts
    assert stores[0].facts.skipped == ["case 4 is bad", "case 9 is bad"]
    one, two = ((store.folder / "data.arrow").read_bytes() for store in stores)
    assert one == two
    processes = {process for _, process in reads(tmp_path)}
    assert os.getpid() in processes and len(processes) > 1


def test_a_few_quick_cases_start_no_process(tmp_path: Path) -> None:
    open_or_make(source(tmp_path, 4), settings={}, cache=tmp_path / "cache", console=QUIET, workers=2)
    assert {process for _, process in reads(tmp_path)} == {os.getpid()}


def test_a_killed_process_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE", 0.0)
    cases = [partial(kill_process, number) for number in range(2)]
    with pytest.raises(DataError, match=r"want of memory; set trainer\.workers=0"):
        open_or_make(Source(inputs=[], cases=cases), settings={}, cache=tmp_path, console=QUIET, workers=2)


def test_when_one_fails_the_others_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE", 0.0)
    cases = [partial(long_case, tmp_path), partial(full_disk, tmp_path)]
    with pytest.raises(DataError, match="No space left on device"):
        open_or_make(Source(inputs=[], cases=cases), settings={}, cache=tmp_path / "cache", console=QUIET, workers=2)
    assert (tmp_path / "done").exists()  # no process writes after the error


SCRIPT = """
import io, sys
from pathlib import Path
from rich.console import Console
from test_prepare import source
from adapt.datamodules.store import open_or_make

folder = Path(sys.argv[1])
quiet = Console(file=io.StringIO())
store = open_or_make(source(folder, 4, seconds=0.2), settings={}, cache=folder / "cache", console=quiet)
print(len(store.rows))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_a_killed_preparation_goes_on_where_it_was(tmp_path: Path) -> None:
    first = start(tmp_path)
    while not (tmp_path / "reads.txt").exists() or len(reads(tmp_path)) < 3:
        assert first.poll() is None
        time.sleep(0.01)
    first.kill()
    first.communicate()
    second = start(tmp_path)
    assert second.communicate()[0] == "4\n"
    assert [number for number, _ in reads(tmp_path)] == [0, 1, 2, 2, 3]
    assert len(list((tmp_path / "cache" / "stores").iterdir())) == 1


@pytest.mark.slow
def test_two_at_once_end_with_one_whole_store(tmp_path: Path) -> None:
    both = [start(tmp_path), start(tmp_path)]
    assert [process.communicate()[0] for process in both] == ["4\n", "4\n"]
    assert len(list((tmp_path / "cache" / "stores").iterdir())) == 1
