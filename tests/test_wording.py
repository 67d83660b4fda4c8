"""Counts and lists read well in messages."""

from hypothesis import given
from hypothesis import strategies as st

from adapt.wording import LISTED, counted, listed, one_line, printable


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


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_would_obey_is_left_of_a_text(text: str) -> None:
    shown = printable(text)
    assert all(character.isprintable() or character in "\n\t" or ord(character) >= 0xA0 for character in shown)
    shown.encode()  # a name of no known encoding can be written, too
    assert printable(shown) == shown
    assert "\n" not in one_line(text) and "\t" not in one_line(text)


def test_what_is_hidden_is_shown() -> None:
    assert printable("a\x1b[2Jb\r\u202e\udcff c\n") == "a\\x1b[2Jb\\x0d\\u202e\\udcff c\n".replace("\\x0d", "\\r")
    assert printable("Zürich 東京 \u00e9") == "Zürich 東京 \u00e9"
    assert one_line("a\nb\tc") == "a\\nb\\tc"
