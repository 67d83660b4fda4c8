"""Checkpoints of a folder: whole or not at all, the damaged named and passed over, the best and the newest kept."""

import os
import random
import resource
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapt.callbacks.checkpoints import PLACE, AtomicCheckpointIO
from adapt.callbacks.kept import Place, best_good, kept_checkpoints, newest_good, path_of, tidy
from adapt.errors import CheckpointError, RunError


def place(epochs: int, *, score: float | None = None, batches: int = 0) -> Place:
    return Place(epochs=epochs, batches=batches, batches_per_epoch=9, steps=9 * epochs + batches, score=score, data="x")


def save(folder: Path, at: Place) -> Path:
    path = path_of(folder, at)
    AtomicCheckpointIO().save_checkpoint({"weights": torch.full((100,), float(at.epochs)), PLACE: asdict(at)}, path)
    return path


def epoch_of(path: Path) -> int:
    return int(AtomicCheckpointIO().load_checkpoint(path)["weights"][0])


def nothing_to_tell(line: str) -> None:
    raise AssertionError(line)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = save(tmp_path / "new", place(3))
    assert epoch_of(path) == 3
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, path.with_suffix(".json").name]


def test_a_full_disk_keeps_the_checkpoints_before(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    save(tmp_path, place(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(RunError, match=r"epoch_00002_batch_000000\.ckpt cannot be written \(File too large\)"):
            save(tmp_path, place(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [kept.place.epochs for kept in kept_checkpoints(tmp_path, tell=nothing_to_tell)] == [1]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_flush_keeps_the_checkpoints_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, place(1))

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(RunError, match="No space left"):
        save(tmp_path, place(2))
    good = newest_good(tmp_path, tell=nothing_to_tell)
    assert good is not None and epoch_of(good.path) == 1


def damaged(content: bytes, how: str, seed: int) -> bytes:
    place = random.Random(seed).randrange(len(content))
    if how == "cut":
        return content[:place]
    return content[:place] + bytes([content[place] ^ (1 << seed % 8)]) + content[place + 1 :]


@given(how=st.sampled_from(["cut", "flipped"]), seed=st.integers(0, 10**6), of_manifest=st.booleans())
def test_a_damaged_one_is_named_and_the_one_before_it_is_used(
    tmp_path_factory: pytest.TempPathFactory, how: str, seed: int, of_manifest: bool
) -> None:
    """Of a manifest the last byte is the end of a line, without which it says the same."""
    folder = tmp_path_factory.mktemp("kept")
    save(folder, place(1))
    newest = save(folder, place(2))
    target = newest.with_suffix(".json") if of_manifest else newest
    target.write_bytes(damaged(target.read_bytes(), how, seed))
    told: list[str] = []
    good = newest_good(folder, tell=told.append)
    assert good is not None
    if of_manifest and not told:
        assert good.place == place(2) and how == "cut"
        return
    assert good.place.epochs == 1 and epoch_of(good.path) == 1
    assert len(told) == 1 and str(newest) in told[0] and "the one before it is used" in told[0]
    assert len(list(folder.iterdir())) == 2  # what is damaged is gone


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_an_empty_one_is_named(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, place(1))
    save(tmp_path, place(2)).write_bytes(content)
    told: list[str] = []
    good = newest_good(tmp_path, tell=told.append)
    assert good is not None and good.place.epochs == 1
    assert "damaged, its SHA-256 is not that of its manifest" in told[0]


def test_if_all_are_damaged_it_is_an_error_that_names_them(tmp_path: Path) -> None:
    paths = [save(tmp_path, place(epochs)) for epochs in (1, 2)]
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint is left that is whole") as caught:
        newest_good(tmp_path, tell=nothing_to_tell)
    assert all(str(path) in str(caught.value) for path in paths)


def test_a_folder_without_checkpoints_has_no_newest_and_loses_what_was_half_written(tmp_path: Path) -> None:
    assert newest_good(tmp_path / "none", tell=nothing_to_tell) is None
    save(tmp_path, place(1)).with_suffix(".json").unlink()  # killed before the manifest was there
    (tmp_path / ".epoch_00001_batch_000000.ckpt.x1y2z3w4").write_bytes(b"half")
    assert newest_good(tmp_path, tell=nothing_to_tell) is None
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_keeps_there_stays(tmp_path: Path) -> None:
    theirs = ["notes.txt", "best_of_monday.ckpt", "best_of_monday.json", "epoch_00001_batch_000000.ckpt.bak", ".keep"]
    for name in theirs:
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for epochs in range(1, 5):
        save(tmp_path, place(epochs))
        tidy(tmp_path)
    newest_good(tmp_path, tell=nothing_to_tell)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {*theirs, ".ipynb_checkpoints"} and len(names) == len(theirs) + 1 + 4


def test_the_newest_is_told_by_its_place_however_many_digits_that_has(tmp_path: Path) -> None:
    for batches in (999_999, 1_000_000):
        save(tmp_path, place(0, batches=batches))
    good = newest_good(tmp_path, tell=nothing_to_tell)
    assert good is not None and good.place.batches == 1_000_000
    assert len(kept_checkpoints(tmp_path, tell=nothing_to_tell)) == 2


def test_the_two_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    scores = {1: 0.5, 2: 0.7, 3: 0.7, 4: None, 5: 0.6}
    for epochs, score in scores.items():
        save(tmp_path, place(epochs, score=score))
        save(tmp_path, place(epochs, batches=4))
        tidy(tmp_path)
    kept = kept_checkpoints(tmp_path, tell=nothing_to_tell)
    assert [(one.place.epochs, one.place.batches) for one in kept] == [(2, 0), (5, 0), (5, 4)]
    assert best_good(tmp_path, tell=nothing_to_tell).place.epochs == 2  # the first of equals


def test_a_best_one_that_is_damaged_gives_way_to_the_next_best(tmp_path: Path) -> None:
    for epochs, score in ((1, 0.5), (2, 0.9), (3, 0.1)):
        path = save(tmp_path, place(epochs, score=score))
        if epochs == 2:
            path.write_bytes(b"")
    told: list[str] = []
    assert best_good(tmp_path, tell=told.append).place.epochs == 1
    assert len(told) == 1


def test_without_a_score_the_newest_is_the_best(tmp_path: Path) -> None:
    for epochs in (1, 2):
        save(tmp_path, place(epochs))
    assert best_good(tmp_path, tell=nothing_to_tell).place.epochs == 2
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        best_good(tmp_path / "none", tell=nothing_to_tell)
