"""The Dockerfile: what it copies and installs is there, and nothing private gets in."""

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.M).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def built_from(name: str) -> bool:
    """Whether a path at the top goes to the builder."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and fnmatch(name, line.removeprefix("!")):
            kept = line.startswith("!")
    return kept


def test_what_it_installs_is_declared_and_pinned() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    (install,) = (text for name, text in instructions() if name == "RUN" and "pip install" in text)
    (asked,) = re.findall(r"/opt/adapt\[([\w,]+)\]", install)
    assert set(asked.split(",")) <= set(extras) - {"dev"}
    assert "--constraint /opt/adapt/constraints.txt" in " ".join(shlex.split(install))


def test_the_builder_gets_what_the_package_is_made_of_and_nothing_else() -> None:
    needed = {
        "adapt",
        "callbacks",
        "datamodules",
        "recipes",
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "LICENSE",
    }
    assert {path.name for path in ROOT.iterdir() if built_from(path.name)} == needed
    assert not any(built_from(name) for name in (".git", ".env", "runs", "data", ".venv", "tests"))


def test_it_runs_as_a_plain_user_and_holds_no_secret() -> None:
    given = instructions()
    user = [number for number, (name, _) in enumerate(given) if name == "USER"]
    entry = next(number for number, (name, _) in enumerate(given) if name == "ENTRYPOINT")
    assert given[user[-1]][1] != "root" and user[-1] < entry
    assert dict(given)["ENTRYPOINT"] == '["adapt"]'
    assert not any(re.search("token|secret|password", text, re.I) for name, text in given if name in ("ENV", "ARG"))
