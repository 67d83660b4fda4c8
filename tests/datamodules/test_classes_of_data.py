"""Whether data and the classes of a recipe fit one another, before anything is trained."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from adapt.datamodules import Splits
from adapt.datamodules.classes import check_categories, check_classes
from adapt.errors import DataError

SPLITS = Splits(train=("a", "b"), validation=("c",), test=("d",))


def store(**categories: tuple[str, ...]) -> Any:  # noqa: ANN401 - what is asked of a store
    return SimpleNamespace(groups=tuple(categories), rows={"categories": list(categories.values())})


FITTING = store(a=("liver",), b=("spleen", "liver"), c=("spleen",), d=("liver",))


def test_data_that_have_all_classes_and_no_other_pass() -> None:
    check_classes(FITTING, SPLITS, ["spleen", "liver"])
    check_categories(FITTING, ["spleen", "liver", "kidney"])  # an evaluation may lack one


def test_a_single_class_beside_the_background_passes() -> None:
    check_classes(store(a=("roof",), b=("roof",), c=("roof",), d=("roof",)), SPLITS, ["roof"])


def test_objects_of_no_class_are_refused() -> None:
    for check in (partial(check_classes, FITTING, SPLITS), partial(check_categories, FITTING)):
        with pytest.raises(DataError, match=r"objects of spleen, which semantic\.classes does not name"):
            check(["liver"])


def test_a_class_that_the_data_lack_is_refused() -> None:
    with pytest.raises(DataError, match="no object of the data is of the classes kidney; the data have liver, spleen"):
        check_classes(FITTING, SPLITS, ["liver", "spleen", "kidney"])


def test_a_class_that_only_validation_or_test_has_is_refused() -> None:
    held_out = store(a=("liver",), b=("liver",), c=("spleen",), d=("liver",))
    with pytest.raises(DataError, match=r"training split has no object of the classes spleen.*another seed"):
        check_classes(held_out, SPLITS, ["liver", "spleen"])
