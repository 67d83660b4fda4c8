"""How counts and names read in messages and tables; names of strangers cannot steer a terminal."""

import re
from collections.abc import Sequence

LISTED = 5
"""Names in a message; more would hide what it says."""


HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that a terminal obeys rather than shows, that reverse a text, or that no file can hold."""


def printable(text: str) -> str:
    r"""A text with its hidden characters as `\x1b`; line ends and tabs stay."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def one_line(text: str) -> str:
    """The same for a name that must not take several lines."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def counted(count: int, name: str) -> str:
    """`1 image`, `1,200 images`."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def listed(names: Sequence[object]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more
