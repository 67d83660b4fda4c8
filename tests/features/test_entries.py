"""An entry of the cache comes back to the last bit, or not at all."""

import multiprocessing
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

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


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3, 5)])
def test_an_entry_is_a_file_that_the_library_reads_alike(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, (torch.ones(3).half(), torch.randn(shape)))
    found, by_library = read_entry(path), load_file(path)
    assert found is not None and len(found) == len(by_library)
    assert all(torch.equal(values, by_library[str(place)]) for place, values in enumerate(found))


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{}",
        b"7",
        b'{"__metadata__":{"xxh3":"0"},"1":{}}',
        b'{"__metadata__":{"xxh3":"0"},"0":{"dtype":"F16","shape":[9],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"xxh3":"0"},"0":{"dtype":"object","shape":[2],"data_offsets":[0,4]}}',
        b'{"__metadata__":{"xxh3":"0"},"0":{"dtype":"F16","shape":[2],"data_offsets":[99,103]}}',
        b'{"__metadata__":null}',
        b"[" * 100_000,
    ],
)
def test_a_header_that_says_anything_else_is_as_good_as_none(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "entry.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert read_entry(path) is None


def test_what_is_done_to_an_entry_that_was_read_does_not_reach_the_file(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    found = read_entry(path)
    assert found is not None
    found[0].zero_()
    again = read_entry(path)
    assert again is not None and torch.equal(again[0], _hidden(0)[0])


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


def test_an_entry_that_was_marked_a_moment_ago_is_not_marked_again(tmp_path: Path) -> None:
    path = tmp_path / "entry.safetensors"
    write_entry(path, _hidden(0))
    before = path.stat().st_mtime_ns
    assert read_entry(path) is not None
    assert path.stat().st_mtime_ns == before
