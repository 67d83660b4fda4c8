"""How counts and lists of names read in messages and tables."""

from collections.abc import Sequence

LISTED = 5
"""Names in a message; more would hide what it says."""


def counted(count: int, name: str) -> str:
    """`1 image`, `1,200 images`."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def listed(names: Sequence[object]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more
