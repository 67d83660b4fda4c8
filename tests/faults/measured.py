"""The table of faults: what the suite has measured beside what is asked for, as text for docs/faults.md.

A test notes figures under the name of a fault, before it asserts anything; a row is made of those of all tries.
"""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

Figures = Mapping[str, float]
Tries = Sequence[Figures]
BEGIN, END = "<!-- measured by make soak -->", "<!-- end -->"


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    Attributes:
        title: what is done to a run.
        target: what is asked for.
        found: from the figures of all tries to text.
    """

    title: str
    target: str
    found: Callable[[Tries], str]


def total(tries: Tries, name: str) -> int:
    """Sum of a figure."""
    return int(sum(figures[name] for figures in tries))


def worst(tries: Tries, name: str) -> float:
    """The largest of a figure."""
    return max(figures[name] for figures in tries)


def share(tries: Tries, name: str) -> str:
    """In how many of the tries something was so."""
    return f"{total(tries, name)} of {len(tries)}"


def _disk(tries: Tries) -> str:
    return (
        f"{share(tries, 'intact')} with all earlier files intact, {share(tries, 'named')} with one named error or "
        f"notice, {total(tries, 'strays')} half-written files left"
    )


def _tracking(tries: Tries) -> str:
    return (
        f"{share(tries, 'finished')} finished; beyond a run whose server answers, {worst(tries, 'added'):.1f} s waited "
        f"and {worst(tries, 'cpu'):.1f} s of CPU time at most"
    )


FAULTS = {
    "killed": Fault(
        "`kill -9`, half at random moments, half while saving; of both, half with TMPDIR on another file system",
        "0 unreadable checkpoints; resumed to the same bits each time; at most one save interval lost; 0 stray files",
        lambda tries: (
            f"{total(tries, 'unreadable')} unreadable; {share(tries, 'identical')} to the same bits "
            f"({total(tries, 'while_saving')} killed while saving, {total(tries, 'elsewhere')} with TMPDIR elsewhere); "
            f"{worst(tries, 'lost'):.0f} save interval lost at most; {total(tries, 'strays')} stray files"
        ),
    ),
    "damaged": Fault(
        "newest checkpoint cut short, one bit flipped, or empty",
        "caught by its hash, the previous one used, told",
        lambda tries: (
            f"{share(tries, 'caught')} caught and told, {share(tries, 'identical')} went on from the previous one to "
            "the same bits"
        ),
    ),
    "disk full while saving": Fault("disk full while saving", "earlier files intact, named error", _disk),
    "disk full while caching": Fault("disk full while caching features", "earlier files intact, named", _disk),
    "disk full while preparing": Fault("disk full while preparing data", "earlier files intact, named error", _disk),
    "unreadable": Fault(
        "one unreadable file among 200",
        "named; skipped or failed as asked",
        lambda tries: (
            f"named {share(tries, 'named')}; `on_error: fail` ended {total(tries, 'failed')}, `skip` went on with "
            f"{worst(tries, 'images'):.0f} images"
        ),
    ),
    "not a number": Fault(
        "loss NaN or infinite at a chosen step",
        "as asked, last good checkpoint kept",
        lambda tries: f"{share(tries, 'as_asked')} as asked, {share(tries, 'kept')} with the last good one kept",
    ),
    "W&B unreachable": Fault(
        "W&B unreachable at the start",
        "run finishes, at most 15 s added",
        _tracking,
    ),
    "W&B dying": Fault(
        "W&B dead, silent, failing (500) or crashed in the middle",
        "run finishes, at most 15 s added",
        _tracking,
    ),
    "uneven": Fault(
        "uneven data over 2 processes (17 samples)",
        "no hang, each sample once",
        lambda tries: (
            f"both processes ended; {total(tries, 'once')} of {total(tries, 'samples')} samples counted once, "
            f"{total(tries, 'more')} more often"
        ),
    ),
    "worker killed": Fault(
        "a worker that loads data killed",
        "clear end within 30 s, nothing leaked",
        lambda tries: (
            f"{share(tries, 'named')} named, after {worst(tries, 'seconds'):.1f} s at most; "
            f"{total(tries, 'leaked')} processes and files of shared memory left"
        ),
    ),
    "shared memory full": Fault(
        "/dev/shm full",
        "clear end within 30 s, nothing leaked",
        lambda tries: (
            f"{share(tries, 'named')} named, after {worst(tries, 'seconds'):.1f} s at most; "
            f"{total(tries, 'leaked')} processes and files of shared memory left"
        ),
    ),
    "hostile": Fault(
        "pickles, `!!python` YAML, `..`, absolute paths and links in archives and stores, script and control codes "
        "in names",
        "0 executions, 0 writes outside",
        lambda tries: (
            f"{len(tries)} inputs: {total(tries, 'executed')} executions, {total(tries, 'outside')} writes outside"
        ),
    ),
    "long": Fault(
        "500-step soak",
        "resident memory growth under 5 %, open files flat",
        lambda tries: (
            f"{total(tries, 'steps')} steps: {100 * worst(tries, 'growth'):+.1f} % memory, "
            f"{worst(tries, 'files'):+.0f} open files"
        ),
    ),
}


def rows(notes: Sequence[tuple[str, Figures]]) -> dict[str, str]:
    """Title and row of each fault that something was noted of."""
    found = {}
    for name, fault in FAULTS.items():
        tries = [figures for of, figures in notes if of == name]
        if tries:
            day = f"{datetime.now():%d %B %Y}"
            found[fault.title] = f"| {fault.title} | {fault.target} | {fault.found(tries)} | {day} |"
    return found


def table(measured: Mapping[str, str]) -> str:
    """The table in Markdown, and the machine."""
    lines = [
        f"On {os.cpu_count()} CPU cores, Python {platform.python_version()}, {platform.system()}.",
        "",
        "| fault | target | measured | on |",
        "|---|---|---|---|",
    ]
    missing = "| {0.title} | {0.target} | not measured | |"
    return "\n".join([*lines, *(measured.get(fault.title, missing.format(fault)) for fault in FAULTS.values())])


def write_into(page: Path, measured: Mapping[str, str]) -> None:
    """Put rows into the table that the page has between its marks; those that were not measured now stay."""
    content = page.read_text(encoding="utf-8")
    begin, end = content.index(BEGIN) + len(BEGIN), content.index(END)
    there = [line for line in content[begin:end].splitlines() if line.startswith("| ")]
    earlier = {line.split(" | ")[0].removeprefix("| "): line for line in there}
    text = table({**earlier, **measured})
    page.write_text(f"{content[:begin]}\n{text}\n{content[end:]}", encoding="utf-8")
