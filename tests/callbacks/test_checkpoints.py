"""Checkpoints: whole or not at all, and never a pickle."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.errors import CheckpointError, RunError

CONTENT = {"state_dict": {"a": torch.arange(4.0)}, "epoch": 3}


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert loaded["epoch"] == 3
    assert torch.equal(loaded["state_dict"]["a"], torch.arange(4.0))
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_failed_save_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(RunError, match="No space left"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 4}, path)
    assert AtomicCheckpointIO().load_checkpoint(path)["epoch"] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    path = tmp_path / "evil.ckpt"
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError, match="evil"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    torch.save({"payload": Payload()}, path)
    with pytest.raises(CheckpointError, match="evil"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not marker.exists()


def test_a_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=r"last\.ckpt: not a readable checkpoint"):
        AtomicCheckpointIO().load_checkpoint(path)
