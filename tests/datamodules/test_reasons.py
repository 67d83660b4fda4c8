"""Errors of one reason stand together, and no error is taken for another."""

import pytest

from adapt.datamodules.reasons import by_reason, told


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/m/a.png: cannot be read; copy it again", "/m/b.png: cannot be read; copy it again"),
        ("P01: 3 of 1,000 voxels are NaN", "P22: 17 of 2,048 voxels are NaN"),
        ("/m/one.png: is (4, 5), but /i/one.tif is (5, 4)", "/m/two.png: is (8, 8), but /i/two.tif is (9, 9)"),
        ("coco.json, image a.png: is missing", "coco.json, image b.png: is missing"),
    ],
    ids=["the same words", "other numbers", "its own name again", "one file of many images"],
)
def test_errors_of_one_reason_stand_together(one: str, other: str) -> None:
    between = "/m/else.png: no such file"
    assert by_reason([one, between, other]) == [[one, other], [between]]
    assert told([one, other]) == f"{one} (likewise 1 other: {other.partition(': ')[0]})"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.png: has 2 bands", "b.png: has no bands"),
        ("case 1", "case 2"),
        ("scene.tif: row 1 is bad", "scene.tif: row 2 is bad"),
        ("one.png: lies beside two.png", "two.png: lies beside three.png"),
    ],
    ids=["other words", "without a name", "several of one file", "names of others"],
)
def test_other_errors_stand_alone(one: str, other: str) -> None:
    assert by_reason([one, other]) == [[one], [other]]


def test_nothing_is_lost_and_the_first_names_are_told() -> None:
    errors = [f"{name}.png: no such file" for name in "abcdefgh"]
    (group,) = by_reason(errors)
    assert group == errors
    assert told(group) == "a.png: no such file (likewise 7 others: b.png, c.png, d.png, e.png, f.png and 2 more)"
    assert told(group[:1]) == "a.png: no such file"
    assert by_reason([]) == []


def test_a_letter_that_is_a_name_is_left_in_the_words() -> None:
    errors = ["a.png: is a folder", "b.png: is a folder"]
    assert by_reason(errors) == [errors]
