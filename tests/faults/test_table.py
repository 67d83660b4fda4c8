"""The table of the documentation is the suite's own: the same faults, the same targets, and figures."""

from pathlib import Path

import pytest
from measured import BEGIN, END, FAULTS, rows, table, write_into

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
NOTES = [("disk full while saving", {"intact": True, "named": True, "strays": 0})] * 3


def test_the_documentation_has_the_faults_and_targets_of_the_suite() -> None:
    content = PAGE.read_text(encoding="utf-8")
    lines = content[content.index(BEGIN) : content.index(END)].splitlines()
    shown = [tuple(line.split(" | ")[:2]) for line in lines if line.startswith("| ")][1:]
    assert shown == [(f"| {fault.title}", fault.target) for fault in FAULTS.values()]


def test_what_is_measured_anew_replaces_its_row_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text(f"# Faults\n{BEGIN}\n{table({})}\n{END}\nand more\n", encoding="utf-8")
    write_into(page, rows(NOTES))
    once = page.read_text(encoding="utf-8")
    assert once.count("not measured") == len(FAULTS) - 1 and "3 of 3 with all earlier files intact" in once
    write_into(page, rows([("damaged", {"caught": True, "identical": False})]))
    twice = page.read_text(encoding="utf-8")
    assert "1 of 1 caught and told, 0 of 1 went on" in twice and "3 of 3 with all earlier files intact" in twice
    assert twice.startswith("# Faults\n") and twice.endswith(f"{END}\nand more\n")


@pytest.mark.parametrize("figure", ["intact", "named"])
def test_one_try_that_fails_shows(figure: str) -> None:
    (row,) = rows([*NOTES, (NOTES[0][0], {**NOTES[0][1], figure: False})]).values()
    assert "3 of 4" in row
