"""Split by group (patient, scene, slide), so that nothing seen in training is near a test image."""

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from adapt.errors import DataError
from adapt.recipe import SplitSettings
from adapt.wording import counted, listed


@dataclass(frozen=True)
class Splits:
    """Names of the groups of each part, sorted."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def split_groups(groups: Iterable[str], settings: SplitSettings, *, seed: int) -> Splits:
    """Assign whole groups to train, validation and test.

    The order in which groups are taken is a hash of seed and name: adding a patient moves few others. With
    two groups one trains and one tests, without validation.

    Raises:
        DataError: a single group, an unknown group name, or nothing left to train or to test on.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise DataError(
            f"cannot split: all images belong to one group ({', '.join(names) or 'none'}), and a patient, scene or "
            "slide must not be in training and test at once. Add a second one; or, if this one holds several, tell "
            "them apart: by case names with data.group_pattern, places of a large scene or mosaic with "
            "data.split_by=block, rows of a Hub data set with data.group_column"
        )
    _refuse_unknown("validation_groups", settings.validation_groups, names)
    _refuse_unknown("test_groups", settings.test_groups, names)
    named = set(settings.validation_groups) | set(settings.test_groups)
    order = sorted(
        (name for name in names if name not in named),
        key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest(),
    )
    test = list(settings.test_groups) or _take(order, settings.test, len(names))
    spare = len(order) > 1  # one group is left for training whatever the share
    validation = list(settings.validation_groups) or (_take(order, settings.validation, len(names)) if spare else [])
    if not test and settings.test == 0:
        raise DataError(
            "the test split is empty, so nothing could be compared with the untouched model. "
            "Set split.test above 0, or name split.test_groups"
        )
    if not order or not test:
        raise DataError(
            f"no group is left to train on: {counted(len(names), 'group')}, of which {len(validation)} are "
            f"validation and {len(test)} test. Lower split.validation or split.test, or name fewer groups"
        )
    return Splits(train=tuple(sorted(order)), validation=tuple(sorted(set(validation))), test=tuple(sorted(set(test))))


def test_only(groups: Iterable[str], test_groups: list[str]) -> Splits:
    """Named groups, or all if none is named, as a test split without training: for data a model has never seen.

    Raises:
        DataError: an unknown group name.
    """
    names = sorted(set(groups))
    _refuse_unknown("test_groups", test_groups, names)
    return Splits(train=(), validation=(), test=tuple(sorted(set(test_groups))) or tuple(names))


def _refuse_unknown(key: str, wanted: list[str], names: list[str]) -> None:
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise DataError(f"split.{key}: no group {name!r} in the data. {hint}Groups: {listed(names)}")


def _take(order: list[str], share: float, total: int) -> list[str]:
    """Remove a share of all groups from the front of `order`; at least one if the share is above 0."""
    count = min(max(1, round(share * total)), len(order) - 1) if share > 0 else 0
    taken, order[:] = order[:count], order[count:]
    return taken
