"""Every command that a page shows is one that this version takes, and every whole recipe is a valid one."""

import re
import shlex
from pathlib import Path

import pytest

from adapt.cli import COMMANDS, _parser
from adapt.recipe import load_recipe

DOCS = Path(__file__).parents[1] / "docs"
COMMAND = re.compile(r"^(?: {4}|\$ )?python -m adapt ((?:'[^']*'|[^#\n'])*)", flags=re.MULTILINE)


def text_of(page: Path) -> str:
    """A page, with lines that go on joined."""
    return re.sub(r" *\\\n *", " ", page.read_text(encoding="utf-8"))


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if COMMAND.search(text_of(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_commands_of_a_page_parse(page: Path) -> None:
    parser = _parser()
    for command in COMMAND.findall(text_of(page)):
        words = [word for word in shlex.split(command.replace("$TRIAL", "")) if "|" not in word]
        options, rest = parser.parse_known_args(words)
        assert options.command in COMMANDS
        assert all("=" in word for word in rest), command


@pytest.mark.parametrize("name", ["start.md", "guides/medical.md", "guides/satellite.md", "guides/microscopy.md"])
def test_the_recipe_of_a_page_is_a_valid_one(name: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / "page.yaml"
    path.write_text(block, encoding="utf-8")
    assert load_recipe(path).data.root in ("scans", "scenes", "slides")


def test_commands_were_found() -> None:
    assert len(PAGES) > 15
