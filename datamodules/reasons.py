"""Errors of one reason told once: two hundred files that all have the same fault are one thing to mend.

An error begins with the name of what it is about, then `: ` and the reason. Numbers, and the name itself, may differ:
two hundred labels of other sizes than their images have each its own.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from adapt.wording import counted, listed


def by_reason(errors: Sequence[str]) -> list[list[str]]:
    """Errors in groups of one reason, in the order of the first of each; what names nothing is by itself."""
    keys = [(_name(error), _reason(error)) for error in errors]
    times = Counter(keys)
    groups: dict[str, list[str]] = {}
    for error, key in zip(errors, keys, strict=True):
        apart = not key[1] or times[key] > 1  # several faults of one file: their names would not tell them apart
        groups.setdefault(error if apart else f": {key[1]}", []).append(error)
    return list(groups.values())


def told(group: Sequence[str]) -> str:
    """The first error of a group, and how many others there are, with the names of some."""
    others = [_name(error) for error in group[1:]]
    return f"{group[0]} (likewise {counted(len(others), 'other')}: {listed(others)})" if others else group[0]


def _name(error: str) -> str:
    return error.partition(": ")[0]


def _reason(error: str) -> str:
    """What stands behind the name, without numbers and without the stem of the name; empty if there is no name."""
    name, _, reason = error.partition(": ")
    stem = PurePath(name).name.split(".")[0]
    own = rf"(?<!\w){re.escape(stem)}(?=\.\w)" if stem else r"(?!)"  # as part of another file's name
    return re.sub(r"\d+(\.\d+)?", "#", re.sub(own, "*", reason))
