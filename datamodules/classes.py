"""The categories of data; whether they are the classes that a recipe names, and something can be learnt of each."""

from collections.abc import Sequence

from adapt.datamodules.splits import Splits
from adapt.datamodules.store import Store
from adapt.errors import DataError
from adapt.wording import listed


def check_categories(store: Store, classes: Sequence[str]) -> None:
    """Check that every object has a class.

    Raises:
        DataError: the data have categories that are no class.
    """
    unknown = sorted(_categories(store, store.groups) - set(classes))
    if unknown:
        raise DataError(
            f"the data have objects of {listed(unknown)}, which semantic.classes does not name: name them there, or "
            "leave them out of the data section of the recipe, so that they are background"
        )


def check_classes(store: Store, splits: Splits, classes: Sequence[str]) -> None:
    """Check that objects and classes are of the same names, and that each class can be learnt.

    Raises:
        DataError: the data have categories that are no class, or a class has no object in the data, or none in
            the training split.
    """
    check_categories(store, classes)
    there = _categories(store, store.groups)
    absent = [name for name in classes if name not in there]
    if absent:
        raise DataError(
            f"no object of the data is of the classes {listed(absent)}; the data have {listed(sorted(there))}. Take "
            "them out of semantic.classes, or look for them in the data section of the recipe"
        )
    learnt = _categories(store, splits.train)
    held_out = [name for name in classes if name not in learnt]
    if held_out:
        raise DataError(
            f"the training split has no object of the classes {listed(held_out)}, which validation or test have: "
            "they could not be learnt. Set another seed, or split.test_groups, or take them out of semantic.classes"
        )


def categories_of(store: Store, groups: Sequence[str] | None = None) -> list[str]:
    """All categories that objects of the data, or of some groups of them, have, in alphabetical order."""
    return sorted(_categories(store, store.groups if groups is None else groups))


def _categories(store: Store, groups: Sequence[str]) -> set[str]:
    """The categories of all objects of some groups."""
    wanted = set(groups)
    of_images = zip(store.groups, store.rows["categories"], strict=True)
    return {name for group, names in of_images if group in wanted for name in names}
