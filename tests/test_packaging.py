"""What is installed: the linked folders are in the wheel, under the package's name only."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_linked_folders_inside_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("adapt_sam-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"adapt/datamodules/medical.py", "adapt/callbacks/checkpoints.py", "adapt/recipes/quickstart.yaml"} <= names
    assert "adapt/evaluate/report.html.jinja" in names
    assert "adapt/segmenters/tiny_weights/model.safetensors" in names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"adapt"}


def test_no_pin_is_without_a_reason_and_every_dependency_is_pinned() -> None:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert all("==" in line and line.partition("#")[2].strip() for line in lines)
    pinned = {line.split("==")[0].lower() for line in lines}

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    names = {name.split(">")[0].split("[")[0].strip().lower() for name in asked} - {"adapt-sam"}
    assert names - {"bitsandbytes"} <= pinned  # needs CUDA: no version of it could be tried


def test_top_folders_are_relative_links() -> None:
    for name in ("datamodules", "callbacks", "recipes"):
        link = ROOT / "adapt" / name
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{name}"
