"""What is printed cannot steer a terminal, and rich still can."""

import io

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from adapt.terminal import Terminal

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m name"


@pytest.mark.parametrize("colour", [False, True])
def test_escape_sequences_are_shown_and_colours_are_kept(colour: bool) -> None:
    file = io.StringIO()
    console = Terminal(file=file, force_terminal=colour, width=200)
    table = Table("name")
    table.add_row(escape(EVIL))
    for printed in (EVIL, f"[red]warning:[/] {escape(EVIL)}", Text(EVIL, style="red"), table):
        console.print(printed, highlight=False)
    written = file.getvalue()
    assert written.count("\\x1b[2J") == 4
    for sequence in ("\x1b]0;", "\x1b[2J", "\x9b", "\x07"):
        assert sequence not in written
    assert ("\x1b[31m" in written) == colour


def test_what_is_harmless_is_printed_as_by_rich() -> None:
    files = io.StringIO(), io.StringIO()
    for kind, file in zip((Console, Terminal), files, strict=True):
        console = kind(file=file, force_terminal=True, width=60)
        table = Table("a", "b", title="Zürich 東京")
        table.add_row("1", "[red]two\nlines[/]")
        console.print(table)
        console.print("a\tb", style="green")
    assert files[0].getvalue() == files[1].getvalue() != ""
