"""An entry of the cache comes back to the last bit, or not at all."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from adapt.features.entries import read_entry, write_entry
from adapt.segmenters import Hidden


def _hidden(seed: int, dtype: torch.dtype = torch.float16) -> Hidden:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator).to(dtype) for shape in ((4, 8, 8), (3, 5)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "ab" / "entry.safetensors"
    hidden = _hidden(0, dtype)
    size = write_entry(path, hidden)
    found = read_entry(path)
    assert found is not None and len(found) == 2
    for one, other in zip(found, hidden, strict=True):
        assert one.dtype == dtype and torch.equal(one, other)
    assert size == path.stat().st_size
    assert os.listdir(path.parent) == [path.name]  # nothing temporary is left


def test_an_entry_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_entry(tmp_path / "entry.safetensors") is None


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_an_entry_that_is_cut_short_is_as_good_as_none(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    path.write_bytes(path.read_bytes()[:kept])
    assert read_entry(path) is None


def test_one_wrong_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    content = path.read_bytes()
    first = 8 + int.from_bytes(content[:8], "little")
    for place in (first, (first + len(content)) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert read_entry(path) is None
    path.write_bytes(bytes(len(content)))  # what a power cut leaves
    assert read_entry(path) is None


def test_an_entry_that_is_read_is_marked_as_used(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    os.utime(path, (1e9, 1e9))
    read_entry(path)
    assert path.stat().st_mtime > 1e9


def _write_often(path: Path) -> None:
    for _ in range(200):
        write_entry(path, _hidden(0))


def test_an_entry_that_others_write_at_the_same_time_is_always_whole(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        found = read_entry(path)
        assert found is not None and torch.equal(found[0], _hidden(0)[0])
        seen += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert seen > 0 and os.listdir(tmp_path) == [path.name]
