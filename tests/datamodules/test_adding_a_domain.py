"""The page that shows how to add a domain is followed to the letter, and the domain works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_evaluation import SMALL_EVALUATION

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-domain.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^`(?P<path>[\w/.]+)`\n|^```(?P<language>python|yaml|diff)\n(?P<text>.*?)^```\n", re.M | re.S)


def blocks() -> list[tuple[str, str, str]]:
    """(path, language, text) of the page's code: a path stands above its blocks."""
    found, path = [], ""
    for match in BLOCK.finditer(PAGE):
        path = match["path"] or path
        if match["language"]:
            found.append((path, match["language"], match["text"]))
    return found


def apply_change(text: str, change: str) -> str:
    """The text with the lines of a diff changed; what it changes must be there once."""
    lines = change.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    assert text.count(old) == 1, f"the page changes lines that are there {text.count(old)} times:\n{old}"
    return text.replace(old, "".join(line[1:] for line in lines if line[0] != "-"))


def follow_the_page(folder: Path) -> None:
    """A copy of the package with the page's changes."""
    for name in ("adapt", "datamodules", "callbacks", "recipes"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path, language, text in blocks():
        target = folder / path
        if language == "diff":
            target.write_text(apply_change(target.read_text(encoding="utf-8"), text), encoding="utf-8")
        else:
            assert not target.exists()
            target.write_text(text, encoding="utf-8")


def write_micrographs(folder: Path, count: int) -> None:
    """Grey noise with two overlapping bright squares."""
    folder.mkdir()
    for number in range(count):
        image = np.random.default_rng(number).integers(0, 80, (48, 48), dtype=np.uint8)
        masks = np.zeros((2, 48, 48), dtype=bool)
        masks[0, 6:24, 6:24] = masks[1, 18:40, 18:40] = True
        image[masks.any(0)] += 120
        np.savez(folder / f"specimen_{number}.npz", image=image, masks=masks)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "adapt", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_it_takes_fewer_than_80_lines() -> None:
    code = [
        line
        for _, language, text in blocks()
        for line in text.splitlines()
        if line.strip() and (language != "diff" or line[0] in "+-")
    ]
    assert 40 < len(code) < 80


@pytest.mark.slow
def test_the_new_domain_fits_from_one_command(tmp_path: Path) -> None:
    follow_the_page(tmp_path)
    write_micrographs(tmp_path / "micrographs", 6)
    short = ["trainer.epochs=1", "evaluation.gallery=1", *SMALL_EVALUATION, f"cache={tmp_path}/cache"]
    done = run(tmp_path, "fit", "--recipe", "npz", *short)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs" / "npz").iterdir()
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert set(results["protocols"]["box"]["base"]["categories"]) == {"grain"}

    (tmp_path / "micrographs" / "specimen_1.npz").write_bytes(b"cut short")
    refused = run(tmp_path, "fit", "--recipe", "npz", *short)
    assert refused.returncode == 1
    assert "specimen_1.npz: cannot be read" in refused.stderr
