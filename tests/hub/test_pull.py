"""`adapt pull`: what was pushed is a start for fit, and nothing that a repository holds does more than that."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from local_hub import COMMIT, Fault, LocalHub

from adapt.build import make_segmenter
from adapt.cli import main
from adapt.recipe import load_recipe
from adapt.segmenters import load_segmenter

REPO = "team/sam-nuclei"


@pytest.fixture(scope="module")
def package(decoder_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is pushed of a run."""
    output = tmp_path_factory.mktemp("package") / "out"
    assert main(["push", str(decoder_run), "--repo", REPO, "--dry-run", "--output", str(output)]) == 0
    return {path.name: path.read_bytes() for path in output.iterdir()}


def pull(output: Path, *more: str) -> int:
    return main(["pull", REPO, "--output", str(output), *more])


@pytest.mark.parametrize("name", ["start.yaml", "start"])
def test_fit_goes_on_from_what_was_pushed(
    name: str,
    package: dict[str, bytes],
    decoder_run: Path,
    hub: LocalHub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.add(REPO, package)
    assert pull(tmp_path / name) == 0
    recipe_file = tmp_path / name if name.endswith("yaml") else tmp_path / name / "recipe.yaml"
    assert f"adapt fit --recipe {recipe_file} data.root=your-data" in capsys.readouterr().out
    recipe = load_recipe(recipe_file)
    assert recipe.model.revision == (COMMIT if name.endswith("yaml") else None)
    assert (recipe.data.root, recipe.tuning.mode, recipe.hub.repo) == ("your-data", "decoder", None)
    started = dict(make_segmenter(recipe).named_parameters())
    kept = dict(load_segmenter(str(decoder_run / "model")).named_parameters())
    assert started.keys() == kept.keys()
    assert all(torch.equal(started[key], value) for key, value in kept.items())
    overrides = ["data.root=adapt:shapes_folder", f"cache={tmp_path}/cache", "trainer.workers=0"]
    assert main(["fit", "--recipe", str(recipe_file), "--dry-run", *overrides]) == 0


def test_an_older_revision_is_pulled_by_its_name(
    package: dict[str, bytes], hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, package)
    assert pull(tmp_path / "a.yaml", "--revision", COMMIT) == 0
    assert pull(tmp_path / "b.yaml", "--revision", "v9") == 1
    assert "has no such revision" in capsys.readouterr().err


def test_a_server_that_fails_for_a_while_is_asked_again(
    package: dict[str, bytes], hub: LocalHub, tmp_path: Path
) -> None:
    hub.add(REPO, package)
    hub.faults.append(Fault("GET /api/models", times=3))
    assert pull(tmp_path / "a.yaml") == 0


def test_only_files_of_known_names_are_fetched_and_nothing_else_is_written(
    package: dict[str, bytes], hub: LocalHub, tmp_path: Path
) -> None:
    evil = {"../../evil.py": b"x", "/etc/evil": b"x", "modeling_evil.py": b"x", "pytorch_model.bin": b"x"}
    hub.add(REPO, {**package, **evil})
    assert pull(tmp_path / "a" / "start") == 0
    fetched = {
        asked.split("/resolve/")[1].split("/", 1)[1].split()[0] for asked in hub.requests if "/resolve/" in asked
    }
    assert fetched == {"recipe.yaml", "adapt.json", "config.json", "model.safetensors"}
    written = {path.relative_to(tmp_path / "a").as_posix() for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert written == {"start/recipe.yaml", "start/model/config.json", "start/model/model.safetensors"}
    assert not any(path.is_symlink() for path in (tmp_path / "a").rglob("*"))


def test_places_that_a_stranger_s_recipe_names_are_left_behind(
    package: dict[str, bytes], hub: LocalHub, tmp_path: Path
) -> None:
    text = package["recipe.yaml"].decode()
    for old, new in {
        "output: runs": "output: /etc",
        "cache: ~/.cache/adapt": "cache: ../../etc",
        "tracking: none": "tracking: wandb",
        "root: your-data": "root: /home/bob",
        "  repo: null": "  repo: evil/model",
        "after_fit: false": "after_fit: true",
    }.items():
        assert old in text
        text = text.replace(old, new)
    hub.add(REPO, {**package, "recipe.yaml": text.encode()})
    assert pull(tmp_path / "a.yaml") == 0
    recipe = load_recipe(tmp_path / "a.yaml")
    assert (recipe.output, recipe.cache, recipe.tracking) == ("runs", "~/.cache/adapt", "none")
    assert (recipe.data.root, recipe.hub.repo, recipe.hub.after_fit) == ("your-data", None, False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"recipe.yaml": b"!!python/object/apply:os.system [ls]"}, "not a readable YAML recipe"),
        ({"recipe.yaml": b"data: {kind: folder, root: x}\nmodel: {trust_remote_code: true}"}, "unknown key"),
        ({"recipe.yaml": b"#" * 1_000_001}, "larger than 1,000,000 bytes"),
        ({"model.safetensors": b"other weights"}, "model.safetensors is not what was pushed"),
        ({"config.json": b'{"model_type": "evil", "auto_map": {}}'}, "config.json is not what was pushed"),
        ({"adapt.json": b"[]"}, "adapt.json of the repository cannot be read"),
        ({"adapt.json": None}, "was not pushed by adapt"),
        ({"model.safetensors": None}, "holds an adapter and no model"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_and_nothing_is_left(
    changes: dict[str, bytes | None],
    told: str,
    package: dict[str, bytes],
    hub: LocalHub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {**package, **changes}
    hub.add(REPO, {name: content for name, content in files.items() if content is not None})
    assert pull(tmp_path / "here" / "start") in (1, 2)
    assert told in capsys.readouterr().err
    assert [path for path in tmp_path.glob("here/*")] == []


def test_a_model_that_would_run_code_of_its_own_does_not(
    package: dict[str, bytes], hub: LocalHub, tmp_path: Path
) -> None:
    config = {**json.loads(package["config.json"]), "auto_map": {"AutoModelForMaskGeneration": "modeling_evil.Evil"}}
    text = json.dumps(config).encode()
    marker = json.loads(package["adapt.json"])
    marker["sha256"]["config.json"] = hashlib.sha256(text).hexdigest()
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    hub.add(REPO, {**package, "config.json": text, "adapt.json": json.dumps(marker).encode(), "modeling_evil.py": evil})
    assert pull(tmp_path / "a.yaml") == 0
    make_segmenter(load_recipe(tmp_path / "a.yaml"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["start.yaml", "start"])
def test_nothing_is_written_over_nor_through_a_link(
    name: str, package: dict[str, bytes], hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, package)
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert pull(tmp_path / name) == 1
    assert "is there already and is not written over" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_a_repository_that_is_not_there_is_told(
    hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(tmp_path / "a.yaml") == 1
    assert f"there is no repository {REPO} that you may see" in capsys.readouterr().err
    assert main(["pull", "nuclei", "--output", str(tmp_path / "a.yaml")]) == 2
    assert "give owner/name" in capsys.readouterr().err
