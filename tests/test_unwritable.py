"""What cannot be written is told with the remedy of its own cause."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from adapt.errors import RunError
from adapt.files import make_folder, write_text
from adapt.unwritable import unwritable


def _told(number: int) -> str:
    return unwritable("/out", OSError(number, os.strerror(number)), "or set output=/another/folder")


@pytest.mark.parametrize(
    ("numbers", "remedy"),
    [
        ((errno.ENOSPC, errno.EDQUOT), "; free space"),
        ((errno.EACCES, errno.EPERM), "; get the right to write there, or"),
        ((errno.EROFS,), "; mount its file system for writing, or"),
        ((errno.ENOTDIR, errno.EEXIST), "; move the file away that is where a folder should be, or"),
        ((errno.EISDIR, errno.ENOTEMPTY), "; move the folder away that is in its place, or"),
        ((errno.ENOENT,), "; make the folder that it belongs in, or"),
        ((errno.ENAMETOOLONG,), "; shorten its name, or"),
        ((errno.EIO,), "; see whether the disk has space and is in order, or"),
    ],
)
def test_each_cause_has_its_own_remedy(numbers: tuple[int, ...], remedy: str) -> None:
    for number in numbers:
        told = _told(number)
        assert told.startswith(f"/out cannot be written ({os.strerror(number)}){remedy}")
        assert told.endswith(", or set output=/another/folder")
        assert ("free space" in told) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_the_text_of_a_library_in_rust_names_the_cause(tmp_path: Path) -> None:
    with pytest.raises(SafetensorError) as caught:
        save_file({"a": torch.zeros(1)}, tmp_path / "gone" / "a.safetensors")
    assert "(os error 2)" in str(caught.value)
    assert "; make the folder that it belongs in, or" in unwritable("a", caught.value, "or b")


def test_a_library_that_tells_no_cause_is_quoted() -> None:
    assert unwritable("a.png", OSError("encoder error -2"), "or name another") == (
        "a.png cannot be written (encoder error -2); see whether the disk has space and is in order, or name another"
    )


def test_the_system_itself_is_told_apart(tmp_path: Path) -> None:
    """What the machine raises, not what a test makes up; a missing right would not stop root."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, remedy in [
        (tmp_path / "file" / "below", "move the file away"),
        (tmp_path / "file", "move the file away"),
        (tmp_path / ("n" * 300), "shorten its name"),
    ]:
        with pytest.raises(RunError, match=remedy):
            make_folder(path)
    with pytest.raises(RunError, match="make the folder that it belongs in"):
        write_text(tmp_path / "gone" / "a.txt", "x")
    with pytest.raises(RunError, match="move the folder away"):
        write_text(tmp_path / "folder", "x")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_missing_right_is_told_as_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="get the right to write there"):
        write_text(tmp_path / "a.txt", "x")


def test_the_door_names_its_own_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="or give --output another folder"):
        make_folder(tmp_path / "file" / "run", then="or give --output another folder")
