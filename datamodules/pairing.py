"""Images and labels of the same name, and the group a name belongs to; for every domain that stores pairs."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from adapt.datamodules.source import Case
from adapt.errors import DataError
from adapt.wording import counted, listed


def existing_folder(root: Path, below: str, key: str) -> Path:
    """The folder `root/below`.

    Raises:
        DataError: it is missing; names the recipe key that leads there.
    """
    if not root.is_dir():
        raise DataError(f"data.root: no folder {root} (looked from {Path.cwd()}); set data.root=/your/data")
    folder = root / below
    if not folder.is_dir():
        found = listed(sorted(path.name for path in root.iterdir()))
        if not found:
            raise DataError(f"{key}: no folder {folder}; {root} is empty: set data.root to the folder of your data")
        raise DataError(f"{key}: no folder {folder}; {root} holds: {found}; set it to one of them, or data.root")
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


def stripped(name: str, suffix: str, *, others: Sequence[str] = ()) -> str | None:
    """A name without its suffix; nothing if it does not end in it, or in one of the others that is longer."""
    if not name.endswith(suffix) or any(name.endswith(other) for other in others if len(other) > len(suffix)):
        return None
    return name.removesuffix(suffix)


def side_by_side(images: Path, labels: Path, image_suffix: str, label_suffix: str) -> bool:
    """Whether one folder holds both.

    Raises:
        DataError: it does, and no suffix tells them apart.
    """
    shared = images.resolve() == labels.resolve()
    if shared and image_suffix == label_suffix:
        raise DataError(
            f"{images}: holds images and labels; set data.label_suffix (and data.image_suffix) to what their names end "
            "in, such as _masks"
        )
    return shared


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


def paired(
    images: dict[str, Path],
    labels: dict[str, Path],
    root: Path,
    *,
    kinds: str,
    on_error: str,
    unlabelled: bool = False,
    suffixes: bool = False,
) -> tuple[list[str], list[Callable[[], Case]]]:
    """Names that an image and a label share, and for each name without a partner a case that says so.

    Args:
        images: by name.
        labels: by name.
        root: for messages.
        kinds: of files that are images, for messages.
        on_error: `fail`, or `skip` for names without a partner.
        unlabelled: an image without a label is one without an object.
        suffixes: the domain has data.label_suffix, which a message then proposes.

    Raises:
        DataError: there is no image at all, or no image and label share a name; or, with `fail`, some names have no
            partner, and all are listed.
    """
    if not images:
        raise DataError(f"{root}: no image found; {kinds} are read")
    if labels and not set(images) & set(labels) and not unlabelled:
        raise DataError(_no_pair(sorted(images), sorted(labels), root, suffixes=suffixes))
    lonely = (
        ("image", "a label of the same name", sorted(set() if unlabelled else set(images) - set(labels))),
        ("label", "an image of the same name", sorted(set(labels) - set(images))),
    )
    faults = [
        f"{counted(len(names), what)} without {partner}: {listed(names)}" for what, partner, names in lonely if names
    ]
    if faults and on_error == "fail":
        raise DataError(f"{root}: {'; '.join(faults)}. Give both the same name, or remove them")
    told: list[Callable[[], Case]] = [
        partial(refuse, f"{(images | labels)[name]}: is without {partner}")
        for _, partner, names in lonely
        for name in names
    ]
    return sorted(images if unlabelled else set(images) & set(labels)), told


def _no_pair(images: Sequence[str], labels: Sequence[str], root: Path, *, suffixes: bool) -> str:
    """That no name is shared; and what all labels have more than their images, if it is one ending."""
    found = f"{counted(len(images), 'image')} such as {images[0]}, {counted(len(labels), 'label')} such as {labels[0]}"
    advice = "Give both the same name"
    if suffixes:
        more = {label.removeprefix(image) for image in images for label in labels[:1] if label.startswith(image)}
        shortest = min(more, key=len, default="")
        advice += f", or set data.label_suffix={shortest or '(what the names of labels have more)'}"
    return f"{root}: no label has the name of an image: {found}. {advice}"


def refuse(message: str) -> Case:
    """A case that cannot be used, as was seen before it was read."""
    raise DataError(message)


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
