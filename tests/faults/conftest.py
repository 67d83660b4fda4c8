"""A fit as small as it can be, on generated images."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import RECIPE, Fit

from adapt import workflow
from adapt.cli import main


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe `small.yaml`, and with the cache of all runs of the suite."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "small.yaml").write_text(f"{RECIPE}cache: {folder}/cache\n", encoding="utf-8")
    return folder


@pytest.fixture
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end after training: what it left is what is looked at, and the evaluation would take longer."""
    monkeypatch.setattr(workflow, "compare", lambda *arguments, **more: None)


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
        patch.setattr(workflow, "compare", lambda *arguments, **more: None)
        assert main(["fit", "--recipe", str(place / "small.yaml"), f"output={place}/straight"]) == 0
    (folder,) = (place / "straight" / "small").iterdir()
    return folder
