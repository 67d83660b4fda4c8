"""What docs/hub.md and docs/export.md show is true: the recipe loads, the commands parse."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from adapt.cli import _parser
from adapt.recipe import HubSettings

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("hub.md", "export.md"))
COMMANDS = re.findall(r"^ +python -m adapt ([^#\n]*)", TEXT, flags=re.MULTILINE)


def test_the_recipe_of_the_page_is_a_valid_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)
    settings = HubSettings.model_validate(yaml.safe_load(block)["hub"])
    assert settings.after_fit and settings.card.license == "apache-2.0"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_parses(command: str) -> None:
    options, rest = _parser().parse_known_args(shlex.split(command))
    assert options.command in ("push", "pull", "fit", "export")
    assert all("=" in text for text in rest)


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 6
