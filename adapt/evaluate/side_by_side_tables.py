"""A comparison of runs as people read it, and as files."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapt.csv_text import csv_text
from adapt.evaluate.results import Gain
from adapt.evaluate.side_by_side import Comparison, Entry
from adapt.evaluate.tables import MODELS, TITLES, interval_text
from adapt.files import make_folder, write_text

HEADER = ["prompt", "run", "mIoU", "95 % interval", "Dice", "NSD"]
CLICK_HEADER = ["prompt", "run", "NoC@85", "95 % interval", "NoC@90", "95 % interval"]
NOC = ("noc85", "noc90")
GAINS = ("miou", "dice", "nsd", *NOC)


def comparison_rows(comparison: Comparison) -> list[list[str]]:
    """Cells of the table, see `HEADER`: a row a run, and one for its difference to the first."""
    rows = []
    for name, entries in comparison.protocols.items():
        for number, entry in enumerate(entries, start=1):
            found, gain = entry.figures, entry.difference
            cells = [f"{found.miou:.3f}", interval_text(found.low, found.high), f"{found.dice:.3f}", f"{found.nsd:.3f}"]
            rows.append([TITLES[name], str(number), *cells])
            if gain is not None:
                cells = [f"{gain.miou:+.3f}", interval_text(gain.low, gain.high, signed=True)]
                rows.append([TITLES[name], f"{number} - 1", *cells, f"{gain.dice.mean:+.3f}", f"{gain.nsd.mean:+.3f}"])
    return rows


def click_comparison_rows(comparison: Comparison) -> list[list[str]]:
    """Cells of the table of clicks, see `CLICK_HEADER`; intervals are of differences."""
    rows = []
    for name, entries in comparison.protocols.items():
        for number, entry in enumerate(entries, start=1):
            found, gain = entry.figures.clicks, entry.difference
            if found is not None:
                rows.append([TITLES[name], str(number), f"{found.noc85:.2f}", "", f"{found.noc90:.2f}", ""])
            if gain is not None and gain.noc85 is not None and gain.noc90 is not None:
                rows.append([TITLES[name], f"{number} - 1", *_gain_cells(gain.noc85), *_gain_cells(gain.noc90)])
    return rows


def _gain_cells(gain: Gain) -> list[str]:
    return [f"{gain.mean:+.2f}", interval_text(gain.low, gain.high, signed=True)]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print which run is which, the tables, and what was left out."""
    for number, run in enumerate(comparison.runs, start=1):
        text = f"{number}  {run.name}: {run.recipe}, {run.checkpoint}, {MODELS[run.model]}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    count = f"{comparison.objects} objects of {comparison.groups} groups, the same for all runs"
    console.print(_table(HEADER, comparison_rows(comparison), caption=count))
    clicks = click_comparison_rows(comparison)
    if clicks:
        console.print(_table(CLICK_HEADER, clicks, caption="fewer clicks are better"))
    for run, left in zip(comparison.runs, comparison.left_out, strict=True):
        if left:
            text = f"notice: {run.name}: {left} scores are left out, of objects that not all runs have"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    if comparison.only_some:
        names = ", ".join(comparison.only_some)
        text = f"notice: left out, since not all runs have them: {names}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _table(header: list[str], rows: list[list[str]], *, caption: str) -> Table:
    table = Table(caption=caption, caption_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < 2 else "right")
    for row, following in zip(rows, [*rows[1:], [""]], strict=True):
        table.add_row(*map(escape, row), end_section=following[0] != row[0])
    return table


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write `compare.json`, everything, and `compare.csv`, one row a protocol and run.

    Raises:
        RunError: the folder cannot be written.
    """
    make_folder(folder, then="or give --output another folder")
    facts = ("name", "recipe", "checkpoint", "model")
    data = {
        "runs": [{fact: getattr(run, fact) for fact in facts} for run in comparison.runs],
        "protocols": {name: [asdict(entry) for entry in entries] for name, entries in comparison.protocols.items()},
        **{name: getattr(comparison, name) for name in ("objects", "groups", "left_out", "only_some")},
    }
    write_text(folder / "compare.json", json.dumps(data, indent=2) + "\n")
    rows = [
        {"protocol": name, "run": run.name, **_cells(entry)}
        for name, entries in comparison.protocols.items()
        for run, entry in zip(comparison.runs, entries, strict=True)
    ]
    write_text(folder / "compare.csv", csv_text(list(_columns()), rows))


def _columns() -> Iterable[str]:
    yield from ("protocol", "run", "miou", "low", "high", "oracle_miou", "dice", "nsd", *NOC)
    for name in GAINS:
        yield from (f"{name}_difference", f"{name}_difference_low", f"{name}_difference_high")


def _cells(entry: Entry) -> dict[str, object]:
    """Column to value; what a run does not have stays empty."""
    found, of = entry.figures, entry.difference
    cells = {name: getattr(found, name) for name in ("miou", "low", "high", "oracle_miou", "dice", "nsd")}
    if found.clicks is not None:
        cells |= {name: getattr(found.clicks, name) for name in NOC}
    if of is None:
        return cells
    gains = {"miou": Gain(of.miou, of.low, of.high), **{name: getattr(of, name) for name in GAINS[1:]}}
    for name, gain in gains.items():
        if gain is not None:
            cells |= {f"{name}_difference": gain.mean}
            cells |= {f"{name}_difference_low": gain.low, f"{name}_difference_high": gain.high}
    return cells
