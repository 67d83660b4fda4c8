"""Files and labels with names that a page, a terminal or a shell would obey: a whole run shows them, and no more."""

import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapt.cli import main

NAMES = [
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",
    "\x9b31mred",
    "[red]markup[",
    "$(touch owned)",
    "`touch owned`; touch owned #",
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}",
    "two\nlines\ttab",
    "\u202egnp.exe",
    "-rf *",
    "%2e%2e%2f",
    "| a | [b](javascript:alert(1)) |",
]
CATEGORY = "<img src=x onerror=alert(2)>[b]\x1b[2J\n| x |"


class Live(HTMLParser):
    """What of a page could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "base"):
            self.found.append(tag)
        for name, value in attrs:
            outside = name in ("src", "href") and not (value or "").startswith(("data:image/png;base64,", "#"))
            if name.startswith("on") or outside:
                self.found.append(f"{tag} {name}={value}")


def write_images(root: Path) -> None:
    """An image with a square and its mask for each name."""
    (root / "images").mkdir(parents=True)
    for number, name in enumerate(NAMES):
        random = np.random.default_rng(number)
        mask = np.zeros((48, 48), dtype=np.uint8)
        mask[8:30, 10:34] = 255
        image = random.integers(0, 100, (48, 48), dtype=np.uint8) + mask // 2
        Image.fromarray(image).save(root / "images" / f"{name}_{number}.png")
        folder = root / "labels" / f"{name}_{number}" / CATEGORY
        folder.mkdir(parents=True)
        Image.fromarray(mask).save(folder / "1.png")


@pytest.mark.slow
def test_names_are_shown_by_a_whole_run_and_a_check_and_never_obeyed(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
) -> None:
    write_images(tmp_path / "data")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    values = [f"data.root={tmp_path}/data", "data.label_kind=masks", f"cache={tmp_path}/cache", "output=runs"]
    values += ["trainer.epochs=1", "evaluation.gallery=3", "split.test=0.4"]
    codes = [
        main([*command, "--recipe", str(place / "small.yaml"), *values]) for command in (["fit"], ["data", "check"])
    ]
    printed = "".join(capsys.readouterr())
    (run,) = (tmp_path / "here" / "runs" / "small").glob("2*")
    page = (run / "report.html").read_text(encoding="utf-8")
    live = Live()
    live.feed(page)
    outside = {path.name for path in tmp_path.iterdir()} ^ {"data", "here", "cache"}
    outside |= {path.name for path in (tmp_path / "here").iterdir()} ^ {"runs"}
    obeyed = [character for character in "\x1b\x07\x9b\u202e" if character in printed]
    measured("hostile", executed=len(live.found) + len(obeyed), outside=len(outside))
    assert codes[0] == 0 and codes[1] in (0, 1)
    assert (live.found, obeyed, outside) == ([], [], set())
    assert "onerror=alert(2)" in page  # it can be read
    assert "\\x1b[2J" in printed
    assert list(run.parent.glob("checks/*/contact_sheet.png"))


def test_a_name_that_is_no_text_is_named_and_the_others_are_used(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "data")
    bad = os.fsencode(tmp_path / "data" / "images") + b"/M\xfcller.png"
    Path(os.fsdecode(bad)).write_bytes((tmp_path / "data" / "images" / f"{NAMES[0]}_0.png").read_bytes())
    labels = Path(os.fsdecode(os.fsencode(tmp_path / "data" / "labels") + b"/M\xfcller"))
    labels.mkdir()
    (labels / "1.png").write_bytes(next((tmp_path / "data" / "labels").glob("*/*/1.png")).read_bytes())
    values = [f"data.root={tmp_path}/data", "data.label_kind=masks", f"cache={tmp_path}/cache"]
    command = ["data", "prepare", "--recipe", str(place / "small.yaml"), *values]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "1 of 16 cases cannot be used" in said and "M\\udcfcller" in said and "rename it" in said
    assert main([*command, "data.on_error=skip"]) == 0
    assert "samples     15" in capsys.readouterr().out
