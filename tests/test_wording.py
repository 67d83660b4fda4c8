"""Counts and lists read well in messages."""

from adapt.wording import LISTED, counted, listed


def test_one_thing_has_no_plural() -> None:
    assert [counted(number, "image") for number in (0, 1, 2, 1200)] == [
        "0 images",
        "1 image",
        "2 images",
        "1,200 images",
    ]


def test_texts_name_a_few_and_count_the_rest() -> None:
    assert listed([]) == ""
    assert listed(["a", 2]) == "a, 2"
    assert listed(range(LISTED)) == "0, 1, 2, 3, 4"
    assert listed(range(LISTED + 1200)) == "0, 1, 2, 3, 4 and 1,200 more"
