"""The result as people read it: tables in the terminal, CSV and JSON beside them."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapt.csv_text import csv_text
from adapt.evaluate.automatic import AUTOMATIC_HEADER, automatic_rows, automatic_warnings, fitting_cells, kept_text
from adapt.evaluate.following import following_warnings
from adapt.evaluate.objects import write_objects
from adapt.evaluate.results import (
    Automatic,
    AutomaticFigures,
    Gain,
    ModelFigures,
    ProtocolFigures,
    Results,
    StructureFigures,
    VolumeFigures,
)
from adapt.evaluate.scoring import ObjectScore
from adapt.evaluate.shrinking import shrinks
from adapt.evaluate.sizes import SIZES
from adapt.evaluate.texts import TextResults
from adapt.files import write_text
from adapt.wording import counted

TITLES = {"one_click": "one click", "box": "box", "jittered_box": "jittered", "clicks": "clicks", "text": "text"}
MODELS = {"base": "untouched", "tuned": "tuned"}
BOXES = ("box", "jittered_box")
"""Protocols beside which the worth of the box itself stands."""
HEADER = ["prompt", "model", "mIoU", "95 % interval", "oracle mIoU", "Dice", "NSD"]
SHOWN_CLICKS = (1, 3, 5, 10, 20)
FEW_GROUPS = 10
WIDE = 90
"""Characters that the whole table of prompts takes."""


def interval_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`0.612 to 0.702`, or why there is none."""
    if low is None or high is None:
        return "none"
    return f"{low:+.3f} to {high:+.3f}" if signed else f"{low:.3f} to {high:.3f}"


def table_rows(results: Results) -> list[list[str]]:
    """Cells of the table, one row a protocol and model, see `HEADER`; the last row of a protocol is the difference."""
    rows: list[list[str]] = []
    for name, figures in results.protocols.items():
        title = TITLES[name]
        if name in BOXES:
            rows.append([title, "the box itself", f"{figures.box_as_mask:.3f}", *[""] * 4])
        for key, model in figures.models.items():
            cells = [model.oracle_miou, model.dice, model.nsd]
            interval = interval_text(model.low, model.high)
            rows.append([title, MODELS[key], f"{model.miou:.3f}", interval, *(f"{cell:.3f}" for cell in cells)])
        gain = figures.difference
        if gain is not None:
            interval = interval_text(gain.low, gain.high, signed=True)
            others = ["", f"{gain.dice.mean:+.3f}", f"{gain.nsd.mean:+.3f}"]
            rows.append([title, "difference", f"{gain.miou:+.3f}", interval, *others])
    return rows


def click_rows(results: Results) -> list[list[str]]:
    """Header and cells of the table of corrected answers; nothing if no protocol has any."""
    for figures in results.protocols.values():
        if figures.base.clicks is not None:
            return [_click_header(figures.base), *_click_rows(figures)]
    return []


def _shown_clicks(model: ModelFigures) -> list[int]:
    assert model.clicks is not None
    return [number for number in SHOWN_CLICKS if number <= len(model.clicks.curve)]


def _click_header(model: ModelFigures) -> list[str]:
    columns = [f"@{number}" for number in _shown_clicks(model)]
    return ["model", *columns, "NoC@85", "NoC@90", "never"]


def _click_rows(figures: ProtocolFigures) -> list[list[str]]:
    rows = []
    for key, model in figures.models.items():
        found = model.clicks
        assert found is not None
        ious = [f"{found.curve[number - 1]:.3f}" for number in _shown_clicks(model)]
        rows.append([MODELS[key], *ious, f"{found.noc85:.2f}", f"{found.noc90:.2f}", f"{found.never90:.0%}"])
    gain = figures.difference
    if gain is not None and gain.noc85 is not None and gain.noc90 is not None:
        blank = [""] * len(_shown_clicks(figures.base))
        rows.append(["difference", *blank, f"{gain.noc85.mean:+.2f}", f"{gain.noc90.mean:+.2f}", ""])
    return rows


def volume_header(results: Results) -> list[str]:
    """Header of the table of volumes, with the tolerance of the surface distance; nothing if there are none."""
    for figures in results.protocols.values():
        found = figures.base.volumes
        if found is not None:
            return ["prompt", "structure", "model", "3D Dice", f"3D NSD{_at(found)}"]
    return []


def _at(volumes: VolumeFigures) -> str:
    """` at 2 mm`, or ` at 1.4 to 2 mm` where two pixels are not as long in every volume."""
    if volumes.unit is None:
        return " (several units)"
    least, greatest = (f"{value:.3g}" for value in volumes.tolerance)
    return f" at {least if least == greatest else f'{least} to {greatest}'} {volumes.unit}"


def volume_rows(results: Results) -> list[list[str]]:
    """Cells below `volume_header`, one row a protocol, structure and model; the mean of a protocol comes last."""
    rows = []
    for name, figures in results.protocols.items():
        for key, model in figures.models.items():
            if model.volumes is not None:
                whole = StructureFigures(dice=model.volumes.dice, nsd=model.volumes.nsd)
                found = {**model.volumes.categories, "mean": whole}
                rows += [[TITLES[name], of, MODELS[key], f"{f.dice:.3f}", f"{f.nsd:.3f}"] for of, f in found.items()]
    return rows


def caption(results: Results | TextResults) -> str:
    """What the figures were measured on, and how far the intervals can be trusted."""
    counts = ((results.objects, "object"), (results.images, "image"), (results.groups, "group"))
    objects, images, groups = (f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    text = f"test split: {objects} in {images} of {groups}"
    if results.groups == 1:
        text += "; an interval needs at least 2 groups"
    elif results.groups < FEW_GROUPS:
        text += f"; with fewer than {FEW_GROUPS} groups an interval is rough, and rather too narrow"
    return text


def warnings(results: Results) -> list[str]:
    """What a reader should not overlook.

    Tuning that did harm, answers that are worth less than their box, small objects that shrink, prompts that no longer
    matter, automatic masks that are gone or worse.
    """
    found = []
    for name, figures in results.protocols.items():
        gain = figures.difference
        if gain is not None and gain.high is not None and gain.high < 0:
            found.append(
                f"{TITLES[name]}: the tuned model is worse than the untouched one; train longer or at another rate, or "
                "mix the two (adapt evaluate RUN --interpolate 0:1:0.25)"
            )
        elif gain is not None and gain.miou < 0:
            found.append(
                f"{TITLES[name]}: the tuned model is below the untouched one, which may be chance; train "
                "longer, test on more groups, or mix the two (adapt evaluate RUN --interpolate 0:1:0.25)"
            )
        best = figures.tuned or figures.base
        clicks = best.clicks
        if clicks is not None and clicks.curve[-1] < clicks.curve[0]:
            found.append(
                f"{TITLES[name]}: corrections make the answers worse ({clicks.curve[0]:.3f} after the first click, "
                f"{clicks.curve[-1]:.3f} after {len(clicks.curve)}); train longer, or with more prompts.corrections"
            )
        if name == "box" and best.miou < figures.box_as_mask:
            found.append(
                f"box: the answers ({best.miou:.3f}) are worth less than the box itself ({figures.box_as_mask:.3f})"
            )
        found += _shrinking(name, figures)
    found += [] if results.following is None else following_warnings(results.following)
    return found + ([] if results.automatic is None else automatic_warnings(results.automatic))


def _shrinking(name: str, figures: ProtocolFigures) -> list[str]:
    """That small objects shrink, if they do."""
    small = SIZES[0]
    if figures.tuned is None or small not in figures.tuned.shrinkage:
        return []
    base, tuned = figures.base.shrinkage[small], figures.tuned.shrinkage[small]
    if not shrinks(base, tuned):
        return []
    return [
        f"{TITLES[name]}: {tuned.halved:.0%} of the small objects shrink below half their area (untouched: "
        f"{base.halved:.0%}); train on more small objects, or with a larger input"
    ]


def print_table(results: Results, console: Console) -> None:
    """Print the table of domain mIoU, Dice and NSD, and that of clicks and of volumes if there are any.

    Where the terminal is too narrow, NSD is left out, and of the differences all but that of mIoU;
    of automatic masks, intervals, and then found@75.
    """
    rows, header = table_rows(results), HEADER
    if console.width < WIDE:
        header = HEADER[:-1]
        rows = [[*row[:4], "", ""] if "difference" in row else row[:-1] for row in rows]
    console.print(make_table("Domain mIoU", header, rows, texts=2, caption=caption(results)))
    clicks = click_rows(results)
    if clicks:
        console.print(
            make_table("mIoU at 1 click and more, and how many it takes (NoC)", clicks[0], clicks[1:], texts=1)
        )
    volumes = volume_rows(results)
    if volumes:
        console.print(make_table("Volumes: all slices put together", volume_header(results), volumes, texts=3))
    if results.automatic is not None:
        rows = [AUTOMATIC_HEADER, *automatic_rows(results.automatic, MODELS)]
        cells = [fitting_cells(row, console.width) for row in rows]
        about = f"{AUTOMATIC_CAPTION}; {kept_text(results.automatic)}"
        console.print(make_table(automatic_title(results.automatic), cells[0], cells[1:], texts=1, caption=about))
    for text in warnings(results):
        console.print(f"[yellow]notice:[/] {escape(text)}", highlight=False)


AUTOMATIC_CAPTION = (
    "masks an image; images without any; AR: found, averaged over IoUs from 0.5 to 0.95; AP: matching AP of the label "
    "map over the same, to which masks without an object count"
)


def automatic_title(automatic: Automatic) -> str:
    """What the table of automatic masks shows."""
    return f"Automatic masks of {counted(automatic.images, 'image')} with {counted(automatic.objects, 'object')}"


def make_table(title: str, header: Sequence[str], rows: Sequence[list[str]], *, texts: int, caption: str = "") -> Table:
    """A table whose first columns are texts, and the others figures."""
    table = Table(title=title, caption=caption or None, caption_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < texts else "right")
    for row in rows:
        table.add_row(*map(escape, row), end_section="difference" in row)
    return table


def write_tables(results: Results, scores: Sequence[ObjectScore], folder: Path, *, facts: dict[str, object]) -> None:
    """Write `results.json`, `results.csv` (one row a protocol and model) and `objects.csv` (one row an object).

    Args:
        results: the figures.
        scores: of every object.
        folder: of the run.
        facts: added to `results.json`: recipe, checkpoint, versions.
    """
    write_text(folder / "results.json", json.dumps({**results.as_dict(), **facts}, indent=2) + "\n")
    rows: list[dict[str, object]] = []
    for name, figures in results.protocols.items():
        rows += [{"protocol": name, "model": key, **_model_cells(model)} for key, model in figures.models.items()]
    for name, figures in results.protocols.items():
        gain = figures.difference
        if gain is not None:
            row = {"protocol": name, "model": "difference", "miou": gain.miou, "low": gain.low, "high": gain.high}
            rows.append({**row, "dice": gain.dice.mean, "nsd": gain.nsd.mean, **_gain_cells(gain.noc85, gain.noc90)})
    for name, figures in results.protocols.items():
        if name in BOXES:
            rows.append({"protocol": name, "model": "box_as_mask", "miou": figures.box_as_mask})
    if results.automatic is not None:
        for key, own in results.automatic.models.items():
            rows.append({"protocol": "automatic", "model": key, **_automatic_cells(own)})
    write_text(folder / "results.csv", csv_text(RESULT_COLUMNS, rows))
    write_objects(scores, folder)


RESULT_COLUMNS = ["protocol", "model", "miou", "low", "high", "oracle_miou", "dice", "nsd", "hd95", "unit", "missed"]
RESULT_COLUMNS += ["calibration_error", "noc85", "noc90", "never85", "never90", "volume_dice", "volume_nsd"]
AUTOMATIC_COLUMNS = ["masks", "empty", "found50", "found75", "best_iou", "average_recall", "matching_ap"]
WITH_INTERVALS = ["average_recall", "matching_ap"]
RESULT_COLUMNS += [*AUTOMATIC_COLUMNS, *(f"{name}_{bound}" for name in WITH_INTERVALS for bound in ("low", "high"))]


def _automatic_cells(own: AutomaticFigures) -> dict[str, object]:
    cells: dict[str, object] = {name: getattr(own, name) for name in AUTOMATIC_COLUMNS}
    for name in WITH_INTERVALS:
        interval = getattr(own, f"{name}_interval")
        cells |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return cells


def _model_cells(model: ModelFigures) -> dict[str, object]:
    cells: dict[str, object] = {
        name: getattr(model, name)
        for name in ("miou", "low", "high", "oracle_miou", "dice", "nsd", "hd95", "unit", "missed")
    }
    cells["calibration_error"] = model.calibration.error
    if model.clicks is not None:
        cells |= {name: getattr(model.clicks, name) for name in ("noc85", "noc90", "never85", "never90")}
    if model.volumes is not None:
        cells |= {"volume_dice": model.volumes.dice, "volume_nsd": model.volumes.nsd}
    return cells


def _gain_cells(noc85: Gain | None, noc90: Gain | None) -> dict[str, object]:
    return {} if noc85 is None or noc90 is None else {"noc85": noc85.mean, "noc90": noc90.mean}
