"""Text of people and of files as plain words in Markdown, whatever it holds."""

import re
import unicodedata

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$@:])")
"""What could begin a style, a link, a mention, a formula or a cell of a table."""
FIRST = re.compile(r"^(\s*)([-=>]|\d+(?=[.)]))")
"""What could make a list, a quotation or a heading of a line."""


def one_line(text: str) -> str:
    """The text in one line, without characters that are not seen or that turn the direction of reading."""
    seen = (" " if character.isspace() else character for character in text)
    return " ".join("".join(c for c in seen if not unicodedata.category(c).startswith("C")).split())


def plain(text: str) -> str:
    """Markdown that shows the text as it is, in one line; nothing in it is a link, a tag or a style."""
    escaped = SPECIAL.sub(r"\\\1", one_line(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("www.", "www\\.")
    return FIRST.sub(lambda found: f"{found[1]}\\{found[2]}" if not found[2].isdigit() else f"{found[2]}\\", escaped)


def fenced(text: str, language: str) -> str:
    """A block of code that no line of the text can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
