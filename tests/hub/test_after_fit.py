"""A recipe with `hub.after_fit`: one command from data to a repository."""

from pathlib import Path

import pytest
from local_hub import Fault, LocalHub
from transformers import SamModel

from adapt.cli import main

REPO = "team/sam-shapes"
RECIPE = """\
model: {{checkpoint: adapt:tiny, input_size: 64}}
data: {{kind: folder, root: adapt:shapes_folder}}
prompts: {{corrections: 0, idle_rounds: 0}}
trainer: {{epochs: 1, objects_per_image: 2, workers: 0, accelerator: cpu}}
evaluation:
  gallery: 0
  gallery_every: 0
  following_images: 0
  bootstrap_samples: 100
  retention: {{images: 0}}
  automatic: {{images: 2, points_per_side: 4}}
hub: {{repo: team/sam-shapes, after_fit: true}}
output: {place}/runs
cache: {place}/cache
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.yaml"
    path.write_text(RECIPE.format(place=tmp_path), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
def test_fit_ends_with_a_repository_that_plain_transformers_loads(
    recipe: Path, hub: LocalHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault("POST .*/commit/", times=6))
    assert main(["fit", "--recipe", str(recipe)]) == 1
    (run,) = (recipe.parent / "runs" / "shapes").iterdir()
    assert f"The run itself is complete; push it later: adapt push {run}" in capsys.readouterr().err
    assert main(["push", str(run)]) == 0
    assert f"{hub.endpoint}/{REPO}" in capsys.readouterr().out
    SamModel.from_pretrained(REPO)


def test_a_fit_that_could_not_push_does_not_begin(
    recipe: Path, hub: LocalHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert main(["fit", "--recipe", str(recipe)]) == 1
    assert "you need a token of the Hub" in capsys.readouterr().err
    assert not (recipe.parent / "runs").exists()


def test_a_push_after_fit_needs_to_know_where_to(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--recipe", str(recipe), "hub.repo=null", "--print-config"]) == 2
    assert "set hub.repo to owner/name" in capsys.readouterr().err
