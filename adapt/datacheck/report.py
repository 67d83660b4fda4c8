"""The result of a check: tables in the terminal, and the same as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapt.datacheck.balance import Balance, Count
from adapt.datacheck.findings import SEVERITIES, Finding
from adapt.datacheck.walk import SampleSummary
from adapt.datamodules import Splits, Store
from adapt.segmenters import SegmenterSpec
from adapt.wording import counted

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
SHOWN = 20
"""Findings of one code in the table; the JSON has all."""


@dataclass(frozen=True)
class CheckReport:
    """What a check found; of data that could not be read, one finding alone.

    Attributes:
        recipe: its name.
        findings: errors first.
        facts: about the data, for the JSON.
        lines: name and value, for the terminal.
        balance: objects of each category and split.
        samples: in the order of the store.
        split_of: group to its split; empty if the groups cannot be split.
    """

    recipe: str
    findings: Sequence[Finding]
    facts: Mapping[str, object] = field(default_factory=dict)
    lines: Sequence[tuple[str, str]] = ()
    balance: Balance = field(default_factory=dict)
    samples: Sequence[SampleSummary] = ()
    split_of: Mapping[str, str] = field(default_factory=dict)


def exit_code(findings: Sequence[Finding], *, strict: bool) -> int:
    """0 for none but notes, 2 with an error, 1 with a warning if that is asked for."""
    severities = {finding.severity for finding in findings}
    return 2 if "error" in severities else 1 if strict and "warning" in severities else 0


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first, then warnings, then notes; else in the order they were made."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def as_json(report: CheckReport) -> dict[str, object]:
    """All of a report as plain data."""
    severities = Counter(finding.severity for finding in report.findings)
    return {
        "recipe": report.recipe,
        "errors": severities["error"],
        "warnings": severities["warning"],
        "notes": severities["note"],
        "findings": [asdict(finding) for finding in report.findings],
        "data": dict(report.facts),
        "balance": {
            category: {
                split: {"objects": count.objects, "images": count.images, "groups": len(count.groups)}
                for split, count in row.items()
            }
            for category, row in report.balance.items()
        },
    }


def data_facts(store: Store, samples: Sequence[SampleSummary], splits: Splits | None) -> dict[str, object]:
    """The figures of a store that no finding has."""
    objects = [item for sample in samples for item in sample.objects]
    return {
        "store": str(store.folder),
        **{name: value for name, value in asdict(store.facts).items() if name not in ("skipped", "unlabelled")},
        "groups": len(set(store.groups)),
        "splits": None if splits is None else asdict(splits),
        "image_height": spread([sample.height for sample in samples]),
        "image_width": spread([sample.width for sample in samples]),
        "objects_per_image": spread([len(sample.objects) for sample in samples]),
        "object_area": spread([item.area for item in objects]),
        "object_longer_side": spread([max(item.height, item.width) for item in objects]),
    }


def spread(values: Sequence[int]) -> dict[str, float]:
    """Least, median, 95th percentile and greatest value."""
    least, median, high, greatest = np.percentile(values, [0, 50, 95, 100]).tolist()
    return {"least": least, "median": median, "percentile_95": high, "greatest": greatest}


def data_lines(
    store: Store, samples: Sequence[SampleSummary], splits: Splits | None, spec: SegmenterSpec | None
) -> list[tuple[str, str]]:
    """Name and value of what a reader wants to know first."""
    facts = store.facts
    objects = [item for sample in samples for item in sample.objects]
    heights, widths = ([getattr(sample, side) for sample in samples] for side in ("height", "width"))
    model = "" if spec is None else f"; the model reads {spec.image_size} px"
    whole = f"{counted(facts.samples, 'image')} with {counted(facts.objects, 'object')} of "
    cut = f", {facts.cut_objects:,} cut by the border of a tile" if facts.cut_objects else ""
    lines = [("data", f"{whole}{counted(len(set(store.groups)), 'group')}{cut}")]
    if splits is not None:
        parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        rows = Counter(store.groups)
        named = [
            f"{name} {counted(sum(rows[g] for g in names), 'image')} of {counted(len(names), 'group')}"
            for name, names in parts.items()
        ]
        lines.append(("split", ", ".join(named)))
    return [
        *lines,
        ("images", f"{_range(widths)} px wide, {_range(heights)} px high{model}"),
        ("objects", f"{_range([len(sample.objects) for sample in samples])} an image"),
        (
            "sizes",
            f"area {_range([item.area for item in objects])} px, "
            f"longer side {_range([max(item.height, item.width) for item in objects])} px",
        ),
    ]


def _range(values: Sequence[int]) -> str:
    """`512`, or `160 to 696 (median 256)`."""
    if min(values) == max(values):
        return f"{values[0]:,}"
    return f"{min(values):,} to {max(values):,} (median {np.median(values):,.0f})"


def print_report(report: CheckReport, console: Console) -> None:
    """Print facts, balance and findings."""
    for name, value in report.lines:
        console.print(f"{name:<9} {value}", highlight=False, markup=False, soft_wrap=True)
    if report.balance:
        console.print(_balance_table(report.balance))
    if not report.findings:
        console.print("[green]nothing found[/]")
        return
    console.print(_findings_table(report.findings))
    severities = Counter(finding.severity for finding in report.findings)
    console.print(", ".join(counted(severities[name], name) for name in SEVERITIES if severities[name]))


def _balance_table(balance: Balance) -> Table:
    table = Table(box=box.SIMPLE_HEAD, caption="objects / images / groups", caption_justify="left")
    table.add_column("category")
    for split in next(iter(balance.values())):
        table.add_column(split, justify="right")
    for category, row in balance.items():
        table.add_row(Text(category), *(_cell(count) for count in row.values()))
    return table


def _cell(count: Count) -> Text:
    if not count.objects:
        return Text("none", style="yellow")
    return Text(f"{count.objects:,} / {count.images:,} / {len(count.groups):,}")


def _findings_table(findings: Sequence[Finding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 1, 0))
    table.add_column("finding", no_wrap=True)
    table.add_column("what, and what to do", overflow="fold")
    seen: Counter[str] = Counter()
    totals = Counter(finding.code for finding in findings)
    for finding in findings:
        seen[finding.code] += 1
        if seen[finding.code] <= SHOWN:
            style = COLOURS[finding.severity]
            table.add_row(Text(f"{finding.severity}\n", style=style) + Text(finding.code, "dim"), Text(finding.text))
        elif seen[finding.code] == totals[finding.code]:
            table.add_row("", f"and {totals[finding.code] - SHOWN:,} more of {finding.code}; check.json has all")
    return table
