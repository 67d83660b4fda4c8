"""The guides of docs/guides: every command, in its order, in an empty folder; the Hub is one on this machine."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import local_hub
import pytest
from local_hub import LocalHub

from adapt.cli import main

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"(?:^`([\w./]+)`\n\n)?^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

pytestmark = [
    pytest.mark.slow,
    # peft 0.21 asks transformers 5 by a name that it deprecates
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    # huggingface-hub 2.4 uploads by a keyword that its client deprecates
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]


def follow(page: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Do what a page says, in the current folder; the commands that were run.

    A block below the name of a file is that file; `sh` is a command a line, `python` a program. Commands run in this
    process, which has its libraries already: only the shell's own work is done by a shell.
    """
    done = []
    for name, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if name:
            Path(name).write_text(text, encoding="utf-8")
        elif language == "python":
            exec(text, {})
        elif language == "sh":
            for line in text.splitlines():
                run(line, monkeypatch)
                done.append(line)
    return done


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command of a page as a shell would, and fail as it would."""
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        shown = subprocess.run(["bash", "-ec", f"printf %s {value}"], capture_output=True, text=True, check=True)
        assert shown.stdout, line
        monkeypatch.setenv(name, shown.stdout)
        return
    words = shlex.split(os.path.expandvars(line))
    assert words[0] == "python", line
    if words[1] == "-c":
        exec(words[2], {})
    else:
        assert words[1:3] == ["-m", "adapt"], line
        assert main(words[3:]) == 0, line


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_leads_from_raw_files_to_a_pushed_model(
    page: Path, hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_hub, "OWNERS", ("my-team", "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    done = follow(page, monkeypatch)
    for command in ("data check", "fit", "predict", "push"):
        assert any(line.startswith(f"python -m adapt {command} ") for line in done)
    (pushed,) = hub.repos.values()
    assert {"model.safetensors", "config.json", "README.md", "results.json"} <= set(pushed.commits[-1].files)
    assert pushed.private
    assert Path("check/contact_sheet.png").is_file()


def test_there_is_a_guide_for_each_domain_with_formats_of_its_own() -> None:
    assert {page.stem for page in GUIDES} == {"medical", "microscopy", "satellite"}


def test_a_command_that_fails_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\npython -m adapt recipes show none_such\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="none_such"):
        follow(page, monkeypatch)
