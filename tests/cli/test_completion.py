"""Completion in real shells: what a person who presses Tab is offered."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapt.cli import main
from adapt.recipe import recipe_names

ASK = """
source "$1"
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p adapt | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def ends(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def bash(home: Path) -> Path:
    assert ends(["--install-completion", "bash"]) == 0
    return home / ".local/share/bash-completion/completions/adapt"


def offered(script: Path, *words: str, folder: Path) -> set[str]:
    """What bash offers for the last word."""
    asked = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    assert asked.stderr == ""
    return {line.strip() for line in asked.stdout.splitlines()}


def test_bash_offers_commands_options_recipes_files_and_folders(bash: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "runs").mkdir(parents=True)
    (folder / "mine.yaml").touch()
    (folder / "notes.txt").touch()
    assert offered(bash, "adapt", "ev", folder=folder) == {"evaluate"}
    assert offered(bash, "adapt", "label", "su", folder=folder) == {"suggest"}
    assert offered(bash, "adapt", "fit", "--res", folder=folder) == {"--resume"}
    recipes = offered(bash, "adapt", "fit", "--recipe", "", folder=folder)
    assert recipes == {*recipe_names(), "mine.yaml", "runs"}
    assert offered(bash, "adapt", "recipes", "copy", "quick", folder=folder) == {"quickstart"}
    assert offered(bash, "adapt", "evaluate", "", folder=folder) >= {"runs"}
    assert "notes.txt" not in offered(bash, "adapt", "evaluate", "n", folder=folder)
    assert offered(bash, "adapt", "predict", "runs", "no", folder=folder) == {"notes.txt"}


def test_what_is_installed_is_said_with_how_to_undo_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shell, place in (
        ("bash", ".local/share/bash-completion/completions/adapt"),
        ("zsh", ".local/share/zsh/site-functions/_adapt"),
        ("fish", ".config/fish/completions/adapt.fish"),
    ):
        assert ends(["--install-completion", shell]) == 0
        said = capsys.readouterr().out
        assert f"written: {home / place}\n" in said and f"To undo: rm {home / place}" in said
        assert ends(["--print-completion", shell]) == 0
        assert capsys.readouterr().out == (home / place).read_text(encoding="utf-8")
    assert {path.name for path in home.iterdir()} == {".local", ".config"}  # no start-up file of a shell


def test_the_shell_of_whoever_asks_is_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert ends(["--install-completion"]) == 0
    assert (home / ".config/fish/completions/adapt.fish").exists()
    monkeypatch.setenv("SHELL", "/bin/dash")
    assert ends(["--install-completion"]) == 2
    assert "SHELL is 'dash', which has no completion here; name one: bash, zsh, fish" in capsys.readouterr().err
    monkeypatch.delenv("SHELL")
    assert ends(["--print-completion"]) == 2
    assert "SHELL is not set; name one" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_clear_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".local").write_text("not a folder", encoding="utf-8")
    assert ends(["--install-completion", "bash"]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"adapt: error: .*completions cannot be written \(Not a directory\).*\n", said)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    printed = subprocess.run(
        [sys.executable, "-m", "adapt", "--print-completion", shell], capture_output=True, text=True, check=True
    )
    subprocess.run([shell, "-n"], input=printed.stdout, text=True, check=True, env={**os.environ})


def test_no_torch_is_loaded_for_it() -> None:
    script = ["import sys, adapt.cli", "try: adapt.cli.main(['--print-completion', 'bash'])"]
    script.append("finally: assert 'torch' not in sys.modules")
    subprocess.run([sys.executable, "-c", "\n".join(script)], check=True, capture_output=True)
