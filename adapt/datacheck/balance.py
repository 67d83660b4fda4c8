"""How the objects of each category fall into the splits. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapt.datacheck.findings import Finding
from adapt.wording import listed

UNSPLIT = "all"
"""What the one column is called where the groups cannot be split."""


@dataclass
class Count:
    """Objects of a category in a split, and the images and groups that have some."""

    objects: int = 0
    images: int = 0
    groups: set[str] = field(default_factory=set)


Balance = dict[str, dict[str, Count]]
"""Category to split to count; each split has an entry, be it 0."""


def class_balance(
    images: Iterable[tuple[str, Sequence[str]]], split_of: Mapping[str, str], *, named: Sequence[str]
) -> Balance:
    """Counts of each category and split.

    Args:
        images: group and categories of the objects of each.
        split_of: group to its split; empty if there is no split.
        named: categories that the recipe names; they come first, in this order, even if none is there.
    """
    splits = [split for split in ("train", "validation", "test") if split in split_of.values()] or [UNSPLIT]
    balance: Balance = {name: {split: Count() for split in splits} for name in named}
    for group, categories in images:
        split = split_of.get(group, UNSPLIT)
        for category in dict.fromkeys(categories):
            row = balance.setdefault(category, {name: Count() for name in splits})
            row[split].objects += categories.count(category)
            row[split].images += 1
            row[split].groups.add(group)
    return balance


def missing_categories(balance: Balance) -> list[Finding]:
    """Named categories that never occur, and categories that training or test do not have."""
    never = [name for name, row in balance.items() if not any(count.objects for count in row.values())]
    found = []
    if never:
        text = (
            f"{listed(never)}: named in the recipe, but no object of it is there; correct the name or its value in "
            "data.labels, or take it out"
        )
        found.append(Finding("unused_label", "warning", text, tuple(never)))
    for split, consequence in (
        ("train", "the model is never shown one"),
        ("test", "how well the model does on it is not measured"),
    ):
        absent = [
            name for name, row in balance.items() if name not in never and split in row and not row[split].objects
        ]
        if absent:
            text = (
                f"{listed(absent)}: no object in {split}, so {consequence}. Name other groups in split.test_groups, "
                "or set another seed"
            )
            found.append(Finding(f"absent_from_{split}", "warning", text, tuple(absent)))
    return found
