"""Run folders: new each time, refused early where nothing can be written, and complete or not there."""

import errno
import os
import resource
import stat
from datetime import datetime as real_datetime
from datetime import tzinfo
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adapt import runs
from adapt.errors import RunError
from adapt.files import write_file
from adapt.runs import check_writable, claimed, new_run_folder, write_folder


class Noon(real_datetime):
    """A clock that stands still, so that all runs fall into one second."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Noon":
        return cls(2025, 1, 2, 12, 0, 0)


@pytest.fixture
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "datetime", Noon)


@pytest.mark.usefixtures("_noon")
def test_runs_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders = [new_run_folder(tmp_path / "runs", "ct_quick") for _ in range(3)]
    names = ["2025-01-02_12-00-00", "2025-01-02_12-00-00-2", "2025-01-02_12-00-00-3"]
    assert folders == [tmp_path / "runs" / "ct_quick" / name for name in names]
    assert all(folder.is_dir() and not os.listdir(folder) for folder in folders)


@pytest.mark.usefixtures("_noon")
def test_an_earlier_run_is_left_alone(tmp_path: Path) -> None:
    first = new_run_folder(tmp_path, "ct_quick")
    (first / "results.json").write_text("{}")
    assert new_run_folder(tmp_path, "ct_quick") != first
    assert os.listdir(first) == ["results.json"]


@pytest.mark.usefixtures("_noon")
def test_recipes_do_not_share_a_folder(tmp_path: Path) -> None:
    assert new_run_folder(tmp_path, "a").parent == tmp_path / "a"
    assert new_run_folder(tmp_path, "b").parent == tmp_path / "b"


def test_the_name_is_the_time_and_sorts_by_it(tmp_path: Path) -> None:
    before = real_datetime.now().replace(microsecond=0)
    folder = new_run_folder(tmp_path, "ct_quick")
    assert before <= real_datetime.strptime(folder.name, "%Y-%m-%d_%H-%M-%S") <= real_datetime.now()


def test_an_output_below_a_regular_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    output = tmp_path / "notes.txt" / "runs"
    with pytest.raises(RunError) as created:
        new_run_folder(output, "ct_quick")
    with pytest.raises(RunError) as checked:
        check_writable(output)
    for caught in (created, checked):
        for part in (str(output), "Not a directory", "output="):
            assert part in str(caught.value)


@pytest.mark.parametrize("output", ["", "runs", "a/b/c"])
def test_a_check_leaves_nothing_behind(tmp_path: Path, output: str) -> None:
    """What is not there yet is created by the run, not by the check."""
    check_writable(tmp_path / output)
    assert os.listdir(tmp_path) == []


def test_a_relative_output_is_checked_where_it_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable(Path("runs"))
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match="run folder runs cannot be written"):
        check_writable(Path("runs"))


def test_a_folder_without_leave_to_write_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        tmp_path = Path("/proc/self")  # root may write anywhere else
    else:
        tmp_path.chmod(0o555)
    with pytest.raises(RunError, match="output="):
        check_writable(tmp_path / "runs")
    with pytest.raises(RunError, match="output="):
        new_run_folder(tmp_path / "runs", "ct_quick")


def test_an_output_that_cannot_be_looked_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="File name too long"):
        check_writable(tmp_path / ("a" * 300) / "runs")


def test_an_output_that_links_to_nothing_is_not_called_full_of_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "unmounted")
    with pytest.raises(RunError) as caught:
        new_run_folder(tmp_path / "runs", "ct_quick")
    assert "thousand" not in str(caught.value)


# ------------------------------------------------------------------------------------------- write_folder


def _model(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "extra").mkdir()
    (folder / "extra" / "weights").write_bytes(b"123")


def test_a_complete_folder_is_put_in_place(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", _model)
    assert os.listdir(tmp_path) == ["model"]
    assert (tmp_path / "model" / "config.json").read_text(encoding="utf-8") == "{}"
    assert (tmp_path / "model" / "extra" / "weights").read_bytes() == b"123"
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755


def test_the_target_is_not_there_until_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def write(folder: Path) -> None:
        _model(folder)
        assert folder != target
        assert not target.exists()

    write_folder(target, write)
    assert target.is_dir()


@pytest.mark.parametrize("error", [ValueError("cannot be saved"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write(folder: Path) -> None:
        _model(folder)
        raise error

    with pytest.raises(type(error)):
        write_folder(tmp_path / "model", write)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_an_error_that_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        _model(folder)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RunError, match=r"model cannot be written \(No space left on device\); .*output="):
        write_folder(tmp_path / "model", write)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_while_weights_are_saved_is_an_error_that_says_so(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk; the error comes from safetensors as it would there."""

    def write(folder: Path) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            save_file({"weight": torch.zeros(1_000_000)}, folder / "model.safetensors")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.raises(RunError, match="output="):
        write_folder(tmp_path / "model", write)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_holds_something_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "config.json").write_text("old")
    with pytest.raises(RunError, match="Directory not empty"):
        write_folder(target, _model)
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(target) == ["config.json"]
    assert (target / "config.json").read_text(encoding="utf-8") == "old"


def test_a_missing_parent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone/model cannot be written \(No such file"):
        write_folder(tmp_path / "gone" / "model", _model)


def test_what_a_killed_process_has_begun_goes_and_what_others_hide_stays(tmp_path: Path) -> None:
    ours = [".recipe.yaml.ab12cd_9", "stages/one/.training.json.abcdefgh", ".model.01234567"]
    theirs = [
        ".git",
        ".gitignore",
        ".DS_Store",
        ".ipynb_checkpoints",
        "stages/one/.keep",
        ".env.local",
        ".git.original",
    ]
    for name in (*ours, *theirs):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".01234567", "") and name != ".DS_Store":
            path.mkdir()
            (path / "file").touch()
        else:
            path.touch()
    with claimed(tmp_path):
        assert [name for name in ours if (tmp_path / name).exists()] == []
        assert [name for name in theirs if not (tmp_path / name).exists()] == []


def test_the_names_of_what_is_half_written_are_known_as_such(tmp_path: Path) -> None:
    seen: list[str] = []
    write_folder(tmp_path / "model", lambda folder: seen.append(folder.name))
    write_file(tmp_path / "a.json", lambda file: seen.extend(path.name for path in tmp_path.glob(".*")))
    assert len(seen) == 2 and all(runs.HALF_WRITTEN.fullmatch(name) for name in seen)


def test_a_link_among_what_is_left_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".model.abcd1234").symlink_to(tmp_path / "mine")
    with claimed(tmp_path / "run"):
        assert not (tmp_path / "run" / ".model.abcd1234").is_symlink()
    assert (tmp_path / "mine").is_dir()


def test_a_file_system_without_locks_is_no_second_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(runs.fcntl, "lockf", refuse)
    with claimed(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / "run.lock").read_text(encoding="utf-8")


def test_a_full_disk_is_told_when_a_run_is_claimed(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(RunError, match="cannot be written"), claimed(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
