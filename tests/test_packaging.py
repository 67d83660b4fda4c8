"""What is installed: the linked folders are in the wheel, under the package's name only."""

import email
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import adapt

ROOT = Path(__file__).parents[1]


MIB = 2**20


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and source archive."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("adapt_sam-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel; libraries alone are borrowed from this one."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return place / "bin"


def called(program: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_linked_folders_inside_the_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"adapt/datamodules/medical.py", "adapt/callbacks/checkpoints.py", "adapt/recipes/quickstart.yaml"} <= names
    assert {"adapt/evaluate/report.html.jinja", "adapt/recipes/schema.json"} <= names
    assert "adapt/segmenters/tiny_weights/model.safetensors" in names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"adapt"}
    assert {Path(name).suffix for name in names if "dist-info" not in name} <= {
        *(".py", ".yaml", ".json", ".jinja", ".css", ".js", ".md", ".safetensors", ".typed", ".txt")
    }
    assert wheel.stat().st_size < 12 * MIB


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("adapt_sam-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert {"tests", "docs", "benchmarks", "pyproject.toml", "LICENSE"} <= {path.name for path in source.iterdir()}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (again,) = (tmp_path / "again").glob("*.whl")
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_the_wheel_says_what_it_is_and_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        said = email.message_from_bytes(files.read(name))
        entry_points = files.read(name.replace("METADATA", "entry_points.txt")).decode()
        assert name.replace("METADATA", "licenses/LICENSE") in files.namelist()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert said["Version"] == adapt.__version__ and said["License-Expression"] == "Apache-2.0"
    assert said.get_all("Provides-Extra") == sorted(project["optional-dependencies"])
    assert said["Description-Content-Type"] == "text/markdown"
    assert str(said.get_payload()).startswith("# ")
    assert "adapt = adapt.cli:entry_point" in entry_points


@pytest.mark.slow
def test_an_installed_wheel_fine_tunes_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    where = called(installed / "python", "-c", "import adapt; print(adapt.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    program = installed / "adapt"
    assert called(program, "--version", cwd=tmp_path) == f"adapt {adapt.__version__}\n"
    assert "quickstart" in called(program, "recipes", "list", cwd=tmp_path)
    small = ["trainer.epochs=1", "trainer.min_steps=0", "trainer.batch_size=2", "trainer.objects_per_image=2"]
    asked = ["evaluation.bootstrap_samples=200", "evaluation.gallery=0", "evaluation.following_images=0"]
    less = ["evaluation.retention.images=0", "evaluation.automatic.images=0", "prompts.corrections=0"]
    fit = ["fit", "--recipe", "folder", "data.root=adapt:shapes_folder", "prompts.idle_rounds=0", "cache=cache"]
    table = called(program, *fit, *small, *asked, *less, cwd=tmp_path)
    assert "one click" in table and list(tmp_path.glob("runs/folder/*/model/model.safetensors"))


@pytest.mark.parametrize("release", re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M))
def test_the_changelog_names_releases_by_version_and_day(release: str) -> None:
    assert release == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", release)


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
