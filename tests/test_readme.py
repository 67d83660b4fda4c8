"""What the README shows is true: its recipe loads, its commands parse, its files exist."""

import re
import shlex
from pathlib import Path

import pytest

from adapt.cli import COMMANDS as CLI
from adapt.cli import _parser
from adapt.recipe import load_recipe

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_recipe_of_the_readme_is_a_valid_one(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        path = tmp_path / "readme.yaml"
        path.write_text(block)
        assert load_recipe(path).data.root == "scans"


COMMANDS = re.findall(r"^(?:\$ )?python -m adapt ([^#\n]*)", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_parses(command: str) -> None:
    options, rest = _parser().parse_known_args(shlex.split(command))
    assert options.command in CLI
    assert all("=" in text for text in rest)


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 6


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert all((ROOT / link).exists() for link in links if "://" not in link)
