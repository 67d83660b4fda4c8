"""What docs/demo.md shows is true: the commands parse, the keys and pictures are there."""

import re
import shlex
from pathlib import Path

import pytest

from adapt.cli import _parser
from adapt.recipe import DemoSettings

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ +python -m adapt ([^#\n]*)", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_parses(command: str) -> None:
    options, rest = _parser().parse_known_args(shlex.split(command))
    assert options.command in ("fit", "demo") and not rest


def test_every_key_is_told_and_commands_were_found() -> None:
    assert set(re.findall(r"^\| `demo\.(\w+)`", TEXT, flags=re.MULTILINE)) == set(DemoSettings.model_fields)
    assert len(COMMANDS) >= 5


def test_every_picture_is_there_and_small() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", TEXT)
    assert len(pictures) == 3
    assert all((PAGE.parent / name).stat().st_size < 200_000 for name in pictures)
