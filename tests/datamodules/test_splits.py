"""Groups are split whole, alike at every run, and few move when one is added."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapt.datamodules import Splits, split_groups
from adapt.errors import DataError
from adapt.recipe import SplitSettings

SHARES = st.tuples(st.floats(0, 0.9), st.floats(0.01, 0.9)).filter(lambda pair: sum(pair) < 1)


def _patients(count: int) -> list[str]:
    return [f"patient_{index:03d}" for index in range(count)]


def _parts(splits: Splits) -> list[set[str]]:
    return [set(splits.train), set(splits.validation), set(splits.test)]


@given(count=st.integers(2, 80), shares=SHARES, seed=st.integers(0, 1000))
def test_each_group_is_in_exactly_one_part(count: int, shares: tuple[float, float], seed: int) -> None:
    names = _patients(count)
    # A group has many rows; they come repeated.
    splits = split_groups(names * 3, SplitSettings(validation=shares[0], test=shares[1]), seed=seed)
    everyone = [*splits.train, *splits.validation, *splits.test]
    assert sorted(everyone) == names
    assert splits.train
    assert splits.test
    assert all(list(part) == sorted(part) for part in (splits.train, splits.validation, splits.test))


@given(count=st.integers(3, 80), shares=SHARES, seed=st.integers(0, 1000))
def test_parts_have_their_share(count: int, shares: tuple[float, float], seed: int) -> None:
    splits = split_groups(_patients(count), SplitSettings(validation=shares[0], test=shares[1]), seed=seed)
    wanted_test = max(1, round(shares[1] * count))
    wanted_validation = max(1, round(shares[0] * count)) if shares[0] > 0 else 0
    assume(wanted_test + wanted_validation < count)  # else training takes one back
    assert len(splits.test) == wanted_test
    assert len(splits.validation) == wanted_validation


def test_two_groups_train_and_test_without_validation() -> None:
    splits = split_groups(["a", "b"], SplitSettings(), seed=0)
    assert [len(part) for part in _parts(splits)] == [1, 0, 1]


def test_three_groups_give_each_part_one() -> None:
    assert [len(part) for part in _parts(split_groups("abc", SplitSettings(), seed=0))] == [1, 1, 1]


@pytest.mark.parametrize(("groups", "named"), [(["p1", "p1"], "p1"), ([], "none")])
def test_one_group_cannot_be_split(groups: list[str], named: str) -> None:
    with pytest.raises(DataError, match=rf"cannot split: .* one group \({named}\).*Add a second one; .*group_pattern"):
        split_groups(groups, SplitSettings(), seed=0)


@pytest.mark.parametrize("key", ["validation_groups", "test_groups"])
def test_an_unknown_group_is_refused_with_the_nearest_name(key: str) -> None:
    settings = SplitSettings(**{key: ["patient_01"]})
    with pytest.raises(DataError) as caught:
        split_groups(_patients(30), settings, seed=0)
    message = str(caught.value)
    assert f"split.{key}: no group 'patient_01' in the data" in message
    assert re.search(r"did you mean 'patient_0\d\d'\?", message)
    assert "patient_004 and 25 more" in message  # thirty names, not all are listed


def test_nothing_near_is_not_guessed() -> None:
    with pytest.raises(DataError, match=r"no group 'xyz' in the data\. Groups: a, b"):
        split_groups(["a", "b"], SplitSettings(test_groups=["xyz"]), seed=0)


def test_a_test_split_of_nothing_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"the test split is empty.*Set split\.test above 0, or name split\.test_groups"
    ):
        split_groups(_patients(10), SplitSettings(test=0.0), seed=0)


def test_naming_every_group_leaves_none_to_train_on() -> None:
    settings = SplitSettings(validation_groups=["a"], test_groups=["b", "c"])
    with pytest.raises(DataError, match="no group is left to train on: 3 groups, of which 1 are validation and 2 test"):
        split_groups("abc", settings, seed=0)


def test_validation_that_leaves_one_group_says_so() -> None:
    # split.test is above 0 here, so raising it would not help.
    settings = SplitSettings(validation_groups=["a", "b"])
    with pytest.raises(DataError) as caught:
        split_groups("abc", settings, seed=0)
    assert "Set split.test above 0" not in str(caught.value)


def test_named_groups_are_taken_exactly() -> None:
    settings = SplitSettings(validation_groups=["patient_003"], test_groups=["patient_001", "patient_000"])
    splits = split_groups(_patients(12), settings, seed=0)
    assert splits.test == ("patient_000", "patient_001")
    assert splits.validation == ("patient_003",)
    assert len(splits.train) == 9  # whatever the shares


def test_a_group_that_is_named_twice_is_taken_once() -> None:
    splits = split_groups(_patients(6), SplitSettings(test_groups=["patient_001", "patient_001"]), seed=0)
    assert splits.test == ("patient_001",)


def test_naming_one_part_leaves_the_share_of_the_other() -> None:
    splits = split_groups(_patients(20), SplitSettings(validation=0.2, test_groups=["patient_000"]), seed=0)
    assert [len(part) for part in _parts(splits)] == [15, 4, 1]
    splits = split_groups(_patients(20), SplitSettings(test=0.2, validation_groups=["patient_000"]), seed=0)
    assert [len(part) for part in _parts(splits)] == [15, 1, 4]


@given(count=st.integers(4, 60), seed=st.integers(0, 1000), added=st.text("abcdefgh", min_size=1, max_size=6))
def test_adding_a_group_moves_few(count: int, seed: int, added: str) -> None:
    before = split_groups(_patients(count), SplitSettings(), seed=seed)
    after = split_groups([*_patients(count), added], SplitSettings(), seed=seed)
    moved = sum(len(old - new) for old, new in zip(_parts(before), _parts(after), strict=True))
    # Each of the two borders shifts by the new group, and by one more where a share rounds up.
    assert moved <= 3


def test_the_order_of_the_rows_does_not_matter() -> None:
    names = _patients(20)
    assert split_groups(names, SplitSettings(), seed=4) == split_groups(names[::-1], SplitSettings(), seed=4)


def test_the_seed_decides() -> None:
    names = _patients(40)
    splits = [split_groups(names, SplitSettings(), seed=seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0].test != splits[2].test


def test_groups_are_not_taken_by_name() -> None:
    # Names often carry a date or a site; a test split of the first names would be another population.
    for seed in range(5):
        test = split_groups(_patients(40), SplitSettings(), seed=seed).test
        assert test != tuple(_patients(40)[:10])
        assert test != tuple(_patients(40)[-10:])
