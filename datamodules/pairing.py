"""Images and labels of the same name, and the group a name belongs to; for every domain that stores pairs."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from adapt.errors import DataError

LISTED = 10


def existing_folder(root: Path, below: str, key: str) -> Path:
    """The folder `root/below`.

    Raises:
        DataError: it is missing; names the recipe key that leads there.
    """
    if not root.is_dir():
        raise DataError(f"data.root: no folder {root} (looked from {Path.cwd()}); set data.root=/your/data")
    folder = root / below
    if not folder.is_dir():
        found = ", ".join(sorted(path.name for path in root.iterdir())[:LISTED]) or "nothing"
        raise DataError(f"{key}: no folder {folder}; {root} holds: {found}")
    return folder


def files_below(folder: Path) -> list[Path]:
    """Every file in a folder and the folders inside, sorted; links are followed, each folder is entered once."""
    found: list[Path] = []
    entered: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()  # a link that leads back here would never end
            continue
        entered.add(real)
        folders.sort()
        found += [Path(place, name) for name in names]
    return sorted(found)


def files_ending(folder: Path, endings: Sequence[str]) -> list[Path]:
    """What lies in a folder with one of these endings (lower case, with the dot) and is not hidden, sorted."""
    return [
        path for path in sorted(folder.iterdir()) if path.suffix.lower() in endings and not path.name.startswith(".")
    ]


def by_name(named: Iterable[tuple[str, Path]], folder: Path) -> dict[str, Path]:
    """Name to path, of files below a folder.

    Raises:
        DataError: two have one name.
    """
    found: dict[str, Path] = {}
    for name, path in named:
        if name in found:
            both = f"{found[name].relative_to(folder)} and {path.relative_to(folder)}"
            raise DataError(f"{folder}: two files are called {name}: {both}; keep one")
        found[name] = path
    return found


def refuse_unpaired(
    images: dict[str, Path], labels: dict[str, Path], root: Path, *, kinds: str, unlabelled: bool = False
) -> None:
    """Check that each image has a label and each label an image.

    Args:
        images: by name.
        labels: by name.
        root: for messages.
        kinds: of files that are images, for messages.
        unlabelled: an image without a label is one without an object.

    Raises:
        DataError: there is no image at all, or some have no partner; lists them.
    """
    if not images:
        raise DataError(f"{root}: no image found; {kinds} are read")
    faults = [
        f"{len(lonely)} {what} without {partner}: {', '.join(lonely[:LISTED])}{' …' if len(lonely) > LISTED else ''}"
        for what, partner, lonely in (
            ("images", "a label of the same name", sorted(set() if unlabelled else set(images) - set(labels))),
            ("labels", "an image of the same name", sorted(set(labels) - set(images))),
        )
        if lonely
    ]
    if faults:
        raise DataError(f"{root}: {'; '.join(faults)}. Give both the same name, or remove them")


def case_group(name: str, pattern: str | None) -> str:
    """The group (patient, scene, slide) of a case: the pattern's group, or the name itself without a pattern.

    Raises:
        DataError: the pattern does not match.
    """
    if pattern is None:
        return name
    match = re.search(pattern, name)
    if match is None or not match[1]:
        raise DataError(f"data.group_pattern {pattern!r} finds no group in the case name {name!r}; correct it")
    return match[1]
