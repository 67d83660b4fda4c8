"""A file is written whole or not at all, and a folder or disk that refuses it is an error that can be mended."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from adapt.errors import RunError
from adapt.files import write_file, write_text


def test_content_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_file(tmp_path / "a.bin", lambda file: file.write(b"\x00\r\n\xff"))
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\r\n\xff"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_text_is_utf8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Zürich\n東京\n")
    assert (tmp_path / "a.txt").read_bytes() == "Zürich\n東京\n".encode()


def test_old_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "a long first version")
    write_text(path, "short")
    assert path.read_text(encoding="utf-8") == "short"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_colleagues_can_read_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "x")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_the_old_content_can_be_read_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    seen: list[str] = []

    def write(file: BinaryIO) -> None:
        file.write(b"ne")
        file.flush()
        seen.append(path.read_text(encoding="utf-8"))
        file.write(b"w")

    write_file(path, write)
    assert seen == ["old"]
    assert path.read_text(encoding="utf-8") == "new"


def test_a_reader_that_has_opened_the_old_file_never_sees_the_new(tmp_path: Path) -> None:
    """The new file takes the name; nothing is written into the old one, which would show a part of it."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old"


def _fails_half_way(error: BaseException) -> object:
    def write(file: BinaryIO) -> None:
        file.write(b"half of the new conte")
        file.flush()
        raise error

    return write


@pytest.mark.parametrize("error", [ValueError("cannot be encoded"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [True, False])
def test_a_writer_that_fails_changes_nothing(tmp_path: Path, error: BaseException, old: bool) -> None:
    path = tmp_path / "a.txt"
    if old:
        write_text(path, "old")
    with pytest.raises(type(error)):
        write_file(path, _fails_half_way(error))  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == (["a.txt"] if old else [])
    assert not old or path.read_text(encoding="utf-8") == "old"


def test_a_full_disk_is_an_error_that_says_so_and_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(RunError) as caught:
        write_file(path, _fails_half_way(full))  # type: ignore[arg-type]
    for part in (str(path), "No space left on device", "output="):
        assert part in str(caught.value)
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["results.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_disk_that_is_full_at_the_flush_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written stays in Python's buffer until the flush; the system says no only then."""
    path = tmp_path / "results.json"
    write_text(path, "old")
    open_handle = os.fdopen

    def to_full_device(handle: int, mode: str) -> object:
        os.close(handle)
        return open_handle(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr(os, "fdopen", to_full_device)
    with pytest.raises(RunError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_library_that_raises_an_oserror_of_its_own_is_quoted(tmp_path: Path) -> None:
    error = OSError("encoder error -2 when writing image file")  # Pillow's
    with pytest.raises(RunError, match="encoder error -2"):
        write_file(tmp_path / "a.png", _fails_half_way(error))  # type: ignore[arg-type]


def test_a_missing_folder_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "results.json"
    with pytest.raises(RunError) as caught:
        write_text(path, "x")
    for part in (str(path), "No such file or directory", "output="):
        assert part in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    target = tmp_path / "gallery"
    target.mkdir()
    (target / "picture.png").touch()
    with pytest.raises(RunError, match="gallery cannot be written"):
        write_text(target, "x")
    assert os.listdir(tmp_path) == ["gallery"]
    assert os.listdir(target) == ["picture.png"]
