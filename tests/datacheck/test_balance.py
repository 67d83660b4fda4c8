"""Objects, images and groups of each category and split; what is missing is told."""

from adapt.datacheck.balance import Balance, class_balance, missing_categories

SPLIT_OF = {"p1": "train", "p2": "train", "p3": "test"}
IMAGES = [
    ("p1", ["liver", "liver", "kidney"]),
    ("p1", ["liver"]),
    ("p2", ["spleen"]),
    ("p3", ["liver", "kidney", "stone"]),
]


def _cells(balance: Balance, category: str) -> dict[str, tuple[int, int, int]]:
    return {split: (c.objects, c.images, len(c.groups)) for split, c in balance[category].items()}


def test_counts_by_hand() -> None:
    balance = class_balance(IMAGES, SPLIT_OF, named=["liver"])
    assert _cells(balance, "liver") == {"train": (3, 2, 1), "test": (1, 1, 1)}
    assert _cells(balance, "spleen") == {"train": (1, 1, 1), "test": (0, 0, 0)}
    assert list(balance) == ["liver", "kidney", "spleen", "stone"]


def test_without_a_split_there_is_one_column() -> None:
    assert _cells(class_balance(IMAGES, {}, named=[]), "liver") == {"all": (4, 3, 2)}


def test_missing_categories_are_told_once_each() -> None:
    found = missing_categories(class_balance(IMAGES, SPLIT_OF, named=["liver", "gallbladder"]))
    assert [(f.code, f.severity, f.where) for f in found] == [
        ("unused_label", "warning", ("gallbladder",)),
        ("absent_from_train", "warning", ("stone",)),
        ("absent_from_test", "warning", ("spleen",)),
    ]


def test_without_a_split_only_a_name_that_never_occurs_is_missing() -> None:
    found = missing_categories(class_balance(IMAGES, {}, named=["gallbladder"]))
    assert [f.code for f in found] == ["unused_label"]


def test_a_category_that_is_everywhere_is_not_missing() -> None:
    assert missing_categories(class_balance([("p1", ["a"]), ("p3", ["a"])], SPLIT_OF, named=["a"])) == []
