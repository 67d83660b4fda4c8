"""What was found by text, as people read it: tables in the terminal, CSV and JSON beside them."""

import json
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console

from adapt.csv_text import csv_text
from adapt.evaluate.tables import caption, interval_text, make_table
from adapt.evaluate.texts import TextFigures, TextResults
from adapt.files import write_text

CSV, RESULTS = "text.csv", "results.json"
MIOU_HEADER = ("asked by", "model", "mIoU", "95 % interval")
TEXT_HEADER = ("model", "asked by", "masks", "stray", "found", "IoU", "regions", "AP", "AP50")
WIDE = 84
"""Characters that the whole table takes."""
COLUMNS = [field.name for field in fields(TextFigures) if field.name != "groups"]
COLUMNS += ["difference", "difference_low", "difference_high"]


def miou_rows(results: TextResults) -> list[list[str]]:
    """The cells below `MIOU_HEADER`; the last row of a way is the difference of its models, if it has several."""
    differences = {one.prompts: one for one in results.differences}
    rows = []
    for prompts in dict.fromkeys(one.prompts for one in results.figures):
        for one in results.figures:
            if one.prompts == prompts:
                rows.append([prompts, one.model, f"{one.miou:.3f}", interval_text(one.low, one.high)])
        if prompts in differences:
            gain = differences[prompts]
            interval = interval_text(gain.low, gain.high, signed=True)
            rows.append([prompts, "difference", f"{gain.miou:+.3f}", interval])
    return rows


def text_rows(results: TextResults) -> list[list[str]]:
    """The cells below `TEXT_HEADER`."""
    rows = []
    for one in results.figures:
        values = (one.found, one.matched_iou, one.region_iou, one.ap, one.ap50)
        cells = ["-" if value is None else f"{value:.3f}" for value in values]
        rows.append([one.model, one.prompts, f"{one.masks:.1f}", f"{one.stray:.1f}", *cells])
    return rows


def print_text_results(results: TextResults, console: Console) -> None:
    """The mIoU with its interval, and below it what it comes from; without AP50 where the terminal is too narrow."""
    title = "Domain mIoU, where what is not found and what is no object count 0"
    console.print(make_table(title, MIOU_HEADER, miou_rows(results), texts=2, caption=caption(results)))
    shown = len(TEXT_HEADER) - (console.width < WIDE)
    rows = [row[:shown] for row in text_rows(results)]
    console.print(make_table("Masks of a text, and of the true boxes", TEXT_HEADER[:shown], rows, texts=2))


def write_text_results(results: TextResults, folder: Path, *, facts: dict[str, object]) -> None:
    """Write `results.json` and `text.csv`: a row a model and way, of which the last of a way has the difference.

    Args:
        results: the figures.
        folder: of the run.
        facts: added to `results.json`: recipe, checkpoint, versions.
    """
    write_text(folder / RESULTS, json.dumps({**results.as_dict(), **facts}, indent=2) + "\n")
    gains = {one.prompts: one for one in results.differences}
    last = {one.prompts: one.model for one in results.figures}
    rows = []
    for one in results.figures:
        row: dict[str, object] = {name: value for name, value in asdict(one).items() if name != "groups"}
        if one.prompts in gains and one.model == last[one.prompts]:
            gain = gains[one.prompts]
            row |= {"difference": gain.miou, "difference_low": gain.low, "difference_high": gain.high}
        rows.append(row)
    write_text(folder / CSV, csv_text(COLUMNS, rows))
