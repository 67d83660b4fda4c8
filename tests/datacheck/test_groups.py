"""Names that may mean one patient are found, numbered names alone are not, and copies are told apart."""

import re

import pytest

from adapt.datacheck.groups import FEW_TEST_GROUPS, duplicates, few_test_groups, names_alike, shared_stems
from adapt.datamodules import Splits
from adapt.datamodules.pairing import case_group

SPLIT_OF = {"p1": "train", "p2": "train", "p3": "test"}


def test_names_that_differ_in_case_and_separators_are_alike() -> None:
    [found] = names_alike(["Patient-01", "patient_01", "patient 01", "patient_02"])
    assert (found.code, found.severity) == ("names_alike", "warning")
    assert set(found.where) == {"Patient-01", "patient_01", "patient 01"}
    assert "Patient-01 = patient 01 = patient_01" in found.text


@pytest.mark.parametrize("names", [["p1", "p2"], ["patient_01", "patient_1"], ["a_1_2", "a_12_x"]])
def test_other_names_are_not_alike(names: list[str]) -> None:
    assert names_alike(names) == []


LEAKS = {
    "slices": (["P01_s1", "P01_s2", "P02_s1", "P03_s1"], {"P01", "P02", "P03"}),
    "tiles by place": (["scene1_0_512", "scene1_512_0", "scene2_0_0"], {"scene1", "scene2"}),
    "sides": (["case_07_left", "case_07_right", "case_08_left"], {"case_07", "case_08"}),
    "slides of a hospital": (
        ["TCGA-A1-A0SB-01Z-00-DX1", "TCGA-A1-A0SB-01Z-00-DX2", "TCGA-A2-A0CM-01Z-00-DX1"],
        {"TCGA-A1", "TCGA-A2"},
    ),
    "series and slices": (["P01_series1_s1_of_9", "P01_series2_s1_of_9", "P02_s1_of_9"], {"P01", "P02"}),
    "an odd name among them": (["P01_1", "P01_2", "_P02", "x"], {"P01", "_P02", "x"}),
    "towns": (["austin_1", "austin_2", "vienna_1", "tyrol_4"], {"austin", "vienna", "tyrol"}),
    "folders": (["set7/a", "set7/b", "set8/a"], {"set7", "set8"}),
}


@pytest.mark.parametrize(("names", "groups"), LEAKS.values(), ids=LEAKS.keys())
def test_slices_and_tiles_of_one_thing_are_found_and_the_proposed_pattern_joins_them(
    names: list[str], groups: set[str]
) -> None:
    [found] = shared_stems(names)
    assert (found.code, found.severity) == ("shared_stems", "warning")
    match = re.search(r"data\.group_pattern='([^']+)'", found.text)
    assert match is not None
    assert {case_group(name, match[1]) for name in names} == groups


@pytest.mark.parametrize(
    "names",
    [
        [f"hippocampus_{number:03d}" for number in range(9)],
        [f"task04_{number:03d}" for number in range(30)] + ["extra"],
        ["train_001", "train_002", "val_001", "val_002"],
        ["0114f484a16c", "0999dab07b11", "0e132f71c8b4"],
        ["patient_01", "patient_02", "control_01"],
        ["a", "b"],
        ["a_1"],
        [],
    ],
)
def test_names_that_only_count_say_nothing(names: list[str]) -> None:
    assert shared_stems(names) == []


@pytest.mark.parametrize("count", [1, FEW_TEST_GROUPS - 1, FEW_TEST_GROUPS])
def test_few_test_groups_are_a_warning(count: int) -> None:
    test = tuple(str(number) for number in range(count))
    found = few_test_groups(Splits(train=("a",), validation=(), test=test), whole_scenes=False)
    assert bool(found) == (count < FEW_TEST_GROUPS)
    if found:
        assert (found[0].code, found[0].severity) == ("few_test_groups", "warning")
        assert found[0].text.startswith("1 test group:" if count == 1 else f"{count} test groups:")


@pytest.mark.parametrize(
    ("groups", "code", "severity"),
    [
        (("p1", "p3"), "duplicate_across_splits", "error"),
        (("p1", "p2"), "duplicate_across_groups", "warning"),
        (("p1", "p1"), "duplicate_in_group", "note"),
    ],
)
def test_a_copy_is_as_bad_as_what_it_crosses(groups: tuple[str, str], code: str, severity: str) -> None:
    images = [("a", groups[0], "same"), ("b", "p1", "other"), ("c", groups[1], "same")]
    [found] = duplicates(images, SPLIT_OF)
    assert (found.code, found.severity, found.where) == (code, severity, ("a", "c"))
    assert found.text.startswith("1 image ") and "a" in found.text


def test_copies_in_two_splits_are_shown_with_their_splits() -> None:
    [found] = duplicates([("a", "p1", "same"), ("c", "p3", "same")], SPLIT_OF)
    assert "(a (train) = c (test))" in found.text


def test_many_copies_are_not_all_listed() -> None:
    [found] = duplicates([(f"s{n}", "p1", "same") for n in range(900)], SPLIT_OF)
    assert "s4 = …)" in found.text and len(found.where) == 900


def test_without_a_split_copies_of_two_groups_are_a_warning() -> None:
    [found] = duplicates([("a", "p1", "same"), ("c", "p3", "same")], {})
    assert found.code == "duplicate_across_groups"


def test_different_images_are_no_copies() -> None:
    assert duplicates([("a", "p1", "x"), ("b", "p3", "y")], SPLIT_OF) == []


def test_few_scenes_could_be_cut_into_blocks() -> None:
    splits = Splits(train=("a",), validation=(), test=("b",))
    [finding] = few_test_groups(splits, whole_scenes=True)
    assert finding.text.endswith("add groups, or cut scenes into blocks with data.split_by=block")
