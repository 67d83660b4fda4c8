"""The messages of docs/troubleshooting.md are those of the program."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\*\*`(.+)`\*\*$", TEXT, flags=re.MULTILINE)
GAP = "…"


def text_of(node: ast.AST) -> str | None:
    """A text of the source, with a gap for each value in it; texts that stand side by side are one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return None


@cache
def texts() -> tuple[str, ...]:
    found = []
    for folder in ("adapt", "datamodules", "callbacks"):
        for path in (ROOT / folder).rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found += [text for text in map(text_of, nodes) if text]
    return tuple(found)


def stands_in(message: str, text: str) -> bool:
    """Whether the words of a message are in a text one behind the other, with anything in its gaps."""
    end = 0
    for words in filter(str.strip, message.split(GAP)):
        begin = text.find(words, end)
        if begin < 0:
            return False
        end = begin + len(words)
    return True


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_is_one_of_the_program(message: str) -> None:
    assert len(message.replace(GAP, "").strip()) >= 15  # else it would be found anywhere
    assert any(stands_in(message, text) for text in texts())


def test_a_message_that_the_program_does_not_have_is_found_out() -> None:
    assert not any(stands_in("the data of … have changed a little; never mind", text) for text in texts())
    assert len(MESSAGES) > 40


def test_every_message_is_followed_by_what_to_do() -> None:
    paragraphs = TEXT.split("\n\n")
    after = [paragraphs[index + 1] for index, text in enumerate(paragraphs) if text.startswith("**`")]
    assert len(after) == len(MESSAGES)
    assert not any(text.startswith(("**`", "#")) for text in after)
