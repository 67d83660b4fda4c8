"""A disk that fills up: what was there stays whole, nothing half-written is left, and one message says what to do."""

import io
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from small_runs import STEPS, Fit, Mount, fingerprint

from adapt.callbacks.kept import kept_checkpoints, verify
from adapt.datamodules import Case, Source
from adapt.datamodules import prepare as prepare_module
from adapt.datamodules.store import open_or_make
from adapt.errors import DataError
from adapt.features import entries
from adapt.samples import Sample
from adapt.task import AdaptTask

QUIET = Console(file=io.StringIO())
MIB = 2**20


def fill(disk: Path, *, leave: int) -> Path:
    """Take all of a disk but so many bytes."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file:
        file.write(bytes(max(0, free - leave)))
    return filler


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def half_written(folder: Path) -> list[Path]:
    """Hidden files and folders: all that is not whole yet has such a name."""
    return list(folder.rglob(".*"))


def drawn(number: int, *, reads: Path) -> Case:
    """A case of 192 KiB that notes that it was read."""
    with reads.open("a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    sample = Sample(
        image=np.random.default_rng(number).integers(0, 256, (256, 256, 3), dtype=np.uint8),
        masks=np.ones((1, 256, 256), dtype=bool),
        categories=("cell",),
        group=str(number),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=str(number),
        source="none",
    )
    return Case(samples=[sample])


@pytest.mark.parametrize(("cases", "workers"), [(40, 0), (40, 2), (12, 0)], ids=["parts", "processes", "joining"])
def test_while_data_are_prepared_earlier_stores_stay_and_a_larger_disk_goes_on(
    mount: Mount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: Callable[..., None],
    cases: int,
    workers: int,
) -> None:
    monkeypatch.setattr(prepare_module, "PATIENCE", 0.0)
    disk, reads = mount(4 * MIB), tmp_path / "reads"

    def source(count: int) -> Source:
        return Source(inputs=[], cases=[partial(drawn, number, reads=reads) for number in range(count)])

    earlier = open_or_make(source(2), settings={}, cache=disk, console=QUIET)
    before = contents(earlier.folder)
    reads.unlink()
    with pytest.raises(DataError) as caught:
        open_or_make(source(cases), settings={"other": True}, cache=disk, console=QUIET, workers=workers)
    named = "No space left on device" in str(caught.value) and "free space, or set cache=" in str(caught.value)
    strays = half_written(disk)
    intact = contents(earlier.folder) == before
    measured("disk full while preparing", intact=intact, named=named, strays=len(strays))
    assert named and intact and strays == []
    done = {int(facts.stem) for facts in (disk / "stores").glob("*.parts/*.json")}
    reads.unlink()
    subprocess.run(["mount", "-o", f"remount,size={32 * MIB}", str(disk)], check=True)
    store = open_or_make(source(cases), settings={"other": True}, cache=disk, console=QUIET, workers=workers)
    assert [store.sample(row).sample_id for row in range(cases)] == [str(number) for number in range(cases)]
    assert contents(earlier.folder) == before
    again = {int(line) for line in reads.read_text(encoding="utf-8").splitlines()} if reads.exists() else set()
    assert done and again == set(range(cases)) - done
    assert sorted(path.name for path in (disk / "stores").iterdir()) == sorted(
        folder.name for folder in (earlier.folder, store.folder)
    )


def test_half_a_join_of_a_killed_process_goes_when_the_data_are_prepared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing cleans up after kill -9."""

    def killed(stems: object, target: Path) -> None:
        target.write_bytes(bytes(1000))
        raise Killed

    source = Source(inputs=[], cases=[partial(drawn, 0, reads=tmp_path / "reads")])
    with monkeypatch.context() as patch:
        patch.setattr("adapt.datamodules.store.join_parts", killed)
        patch.setattr("adapt.datamodules.store.shutil.rmtree", lambda *arguments, **more: None)
        with pytest.raises(Killed):
            open_or_make(source, settings={}, cache=tmp_path / "cache", console=QUIET)
    assert half_written(tmp_path / "cache")
    store = open_or_make(source, settings={}, cache=tmp_path / "cache", console=QUIET)
    assert list((tmp_path / "cache" / "stores").iterdir()) == [store.folder]
    store.folder.with_suffix(".parts").mkdir()  # of one that was killed before it could put them away
    open_or_make(source, settings={}, cache=tmp_path / "cache", console=QUIET)
    assert list((tmp_path / "cache" / "stores").iterdir()) == [store.folder]


@pytest.mark.slow
@pytest.mark.parametrize("leave", [0, 100_000], ids=["at once", "in the middle"])
def test_while_features_are_cached_the_run_goes_on_without(
    fit: Fit,
    straight: Path,
    the_run: Callable[[], Path],
    mount: Mount,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    leave: int,
) -> None:
    """The plan counts on the free disk; here others fill it meanwhile."""
    disk, before, real = mount(64 * MIB), dict[Path, bytes](), entries.write_entry
    monkeypatch.setattr("adapt.features.need.SPARE", 0)

    def filled(path: Path, hidden: tuple[object, ...]) -> int:
        if not (disk / "filler").exists():
            before.update(contents(disk))
            fill(disk, leave=leave)
        return real(path, hidden)  # type: ignore[arg-type]

    monkeypatch.setattr("adapt.features.cache.write_entry", filled)
    if not leave:
        monkeypatch.setattr("adapt.features.cache.describe", _filling(disk, before))
    code = fit(f"cache={disk}")
    said = " ".join(capsys.readouterr().err.split())
    named = said.count("features are no longer kept") == 1 and "No space left on device" in said
    intact = before.items() <= contents(disk).items()
    strays = half_written(disk)
    measured("disk full while caching", intact=intact, named=named, strays=len(strays))
    assert (code, named, intact, strays) == (0, True, True, [])
    assert before  # the prepared data, at least
    assert bool(list(disk.rglob("features/*/*/*.safetensors"))) == bool(leave)
    assert fingerprint(the_run()) == fingerprint(straight)


def _filling(disk: Path, before: dict[Path, bytes]) -> Callable[..., None]:
    """The first file of the cache is then one that does not fit."""
    from adapt.features.folder import describe

    def filled(*arguments: object) -> None:
        if not (disk / "filler").exists():
            before.update(contents(disk))
            fill(disk, leave=0)
        describe(*arguments)  # type: ignore[arg-type]

    return filled


@pytest.fixture
def fills_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int, int], None]:
    """Fill a disk at the beginning of a step."""

    def arm(disk: Path, step: int, leave: int) -> None:
        real = AdaptTask.training_step

        def filling(self: AdaptTask, *arguments: object) -> object:
            if self.global_step == step and not (disk / "filler").exists():
                fill(disk, leave=leave)
            return real(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(AdaptTask, "training_step", filling)

    return arm


FULL = [(0, 0), (3, 0), (3, 400_000), (STEPS, 0), (2 * STEPS - 1, 400_000)]
"""Steps at which the disk is full, and bytes that are left: for nothing, and for half a checkpoint."""


@pytest.mark.slow
@pytest.mark.parametrize(("step", "leave"), FULL)
def test_while_checkpoints_are_saved_the_run_ends_with_a_named_error_and_can_go_on(
    straight: Path,
    fit: Fit,
    mount: Mount,
    fills_at: Callable[[Path, int, int], None],
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    step: int,
    leave: int,
) -> None:
    disk = mount(64 * MIB)
    fills_at(disk, step, leave)
    code = fit(f"output={disk}/runs")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "adapt: error" in line] or [""]
    (folder,) = (disk / "runs" / "small").iterdir()
    told: list[str] = []
    kept = kept_checkpoints(folder / "checkpoints", tell=told.append)
    for one in kept:
        verify(one)
    named = "cannot be written (No space left on device); free space" in line
    strays = half_written(folder)
    intact = not told and (kept[-1].place.steps if kept else 0) >= step
    measured("disk full while saving", intact=intact, named=named, strays=len(strays))
    assert (code, named, intact, strays) == (1, True, True, [])
    filler = disk / "filler"
    filler.rename(disk / "freed")
    (disk / "freed").write_bytes(b"")
    filler.touch()  # so that it is not filled again
    assert fit(resume=folder) == 0
    assert fingerprint(folder) == fingerprint(straight)
