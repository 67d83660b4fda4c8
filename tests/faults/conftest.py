"""A fit as small as it can be, on generated images; and the table of what the suite has measured."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from measured import FAULTS, Figures, rows, table, write_into
from small_runs import RECIPE, Fit, Mount

from adapt.cli import main
from adapt.jobs import fit as fit_job


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe `small.yaml`, and with the cache of all runs of the suite."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "small.yaml").write_text(f"{RECIPE}cache: {folder}/cache\n", encoding="utf-8")
    return folder


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end after training: what it left is what is looked at, and the evaluation would take longer."""
    monkeypatch.setattr(fit_job, "compare", lambda *arguments, **more: None)


@pytest.fixture
def fit(place: Path, tmp_path: Path, untested: None) -> Fit:
    """Fit the small recipe in this process, or resume; the exit code."""

    def run(*overrides: str, resume: Path | str | None = None) -> int:
        chosen = [] if isinstance(resume, Path) else ["--recipe", str(place / "small.yaml"), f"output={tmp_path}/runs"]
        return main(["fit", *chosen, *([] if resume is None else ["--resume", str(resume)]), *overrides])

    return run


@pytest.fixture
def the_run(tmp_path: Path) -> Callable[[], Path]:
    """The folder of the only run there is."""

    def find() -> Path:
        (folder,) = (tmp_path / "runs" / "small").iterdir()
        return folder

    return find


@pytest.fixture(scope="session")
def straight(place: Path) -> Path:
    """A run that was never stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_job, "compare", lambda *arguments, **more: None)
        assert main(["fit", "--recipe", str(place / "small.yaml"), f"output={place}/straight"]) == 0
    (folder,) = (place / "straight" / "small").iterdir()
    return folder


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Note figures of a fault for the table."""

    def note(fault: str, **figures: float) -> None:
        assert fault in FAULTS
        record_property(fault, figures)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; `make soak` puts it into the documentation."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    notes: list[tuple[str, Figures]] = [
        (name, figures) for report in reports for name, figures in report.user_properties if name in FAULTS
    ]
    if not notes:
        return
    found = rows(notes)
    terminalreporter.section("faults")
    terminalreporter.write_line(table(found))
    if "ADAPT_SOAK" in os.environ:
        write_into(Path(__file__).parents[2] / "docs" / "faults.md", found)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a disk of so many bytes, in memory; where that is not allowed, the test is skipped."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if made.returncode:
            pytest.skip(f"needs the right to mount a small disk ({made.stderr.strip()})")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a thread may still hold a file
