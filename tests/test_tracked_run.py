"""W&B has all of a run: recipe, curves, overlays, comparison, test objects, and the model if it is asked for."""

import csv
import json
import os
import re
from pathlib import Path

import pytest
import wandb
import wandb_files
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from adapt.cli import _parser, main
from adapt.recipe import as_yaml, find_recipe, key_paths, load_recipe

DOCS = Path(__file__).parents[1] / "docs"
SMALL = [
    "model.input_size=128",
    "trainer.epochs=2",
    "trainer.min_steps=0",
    "trainer.batch_size=8",
    "trainer.workers=0",
    "prompts.corrections=0",
    "prompts.idle_rounds=0",
    "evaluation.gallery=0",
    "evaluation.gallery_every=2",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=0",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tracked run."""
    place = tmp_path_factory.mktemp("tracked")
    tracked = [
        "tracking=wandb",
        "wandb.offline=true",
        "wandb.model=true",
        f"output={place}",
        f"cache={place / 'cache'}",
    ]
    assert main(["fit", "--recipe", "folder", "data.root=adapt:shapes_folder", *SMALL, *tracked]) == 0
    wandb.teardown()
    (folder,) = (place / "folder").iterdir()
    return folder


@pytest.fixture(scope="module")
def files(run: Path) -> list[Path]:
    """What W&B has written: of the training, and of the comparison."""
    found = sorted(run.glob("wandb/offline-run-*/*.wandb"), key=os.path.getmtime)
    assert len(found) == 2
    return found


@pytest.mark.slow
def test_the_id_is_kept_and_both_parts_have_it(run: Path, files: list[Path]) -> None:
    kept = (run / "wandb_id.txt").read_text(encoding="utf-8").strip()
    assert {wandb_files.run_id(file) for file in files} == {kept}


@pytest.mark.slow
def test_the_config_is_the_recipe(run: Path, files: list[Path]) -> None:
    recipe = load_recipe(run / "recipe.yaml")
    found = wandb_files.config(files[0])
    found.pop("_wandb")
    assert found == json.loads(recipe.model_dump_json())
    assert yaml.safe_load(as_yaml(recipe))["trainer"]["epochs"] == 2


@pytest.mark.slow
def test_the_curves_are_those_of_the_metrics_files(run: Path, files: list[Path]) -> None:
    rows = list(csv.DictReader((run / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    curve = [row["val/miou"] for row in wandb_files.history(files[0]) if "val/miou" in row]
    assert curve == pytest.approx([float(row["val/miou"]) for row in rows])
    assert len(curve) == 2
    losses = [row["train/loss_epoch"] for row in wandb_files.history(files[0]) if "train/loss_epoch" in row]
    assert losses == pytest.approx([float(row["train/loss"]) for row in rows])


@pytest.mark.slow
def test_a_gallery_has_truth_and_answer_as_layers(files: list[Path]) -> None:
    (row,) = (row for row in wandb_files.history(files[0]) if "gallery.count" in row)
    masks = row["gallery.all_masks"]
    assert isinstance(masks, list) and len(masks) == row["gallery.count"] == row["gallery_objects.nrows"] == 8
    for layers in masks:
        assert set(layers) == {"truth", "answer"}
        assert all((files[0].parent / "files" / layer["path"]).is_file() for layer in layers.values())


@pytest.mark.slow
def test_the_summary_has_the_comparison(run: Path, files: list[Path]) -> None:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))["protocols"]
    found = wandb_files.summary(files[1])
    for protocol, figures in results.items():
        assert found[f"test/{protocol}/untouched/miou"] == pytest.approx(figures["base"]["miou"])
        assert found[f"test/{protocol}/tuned/miou"] == pytest.approx(figures["tuned"]["miou"])
        assert found[f"test/{protocol}/difference/low"] == pytest.approx(figures["difference"]["low"])


@pytest.mark.slow
def test_each_test_object_has_a_row_with_both_models_worst_first(run: Path, files: list[Path]) -> None:
    told = wandb_files.summary(files[1])["test_objects"]
    assert isinstance(told, dict) and told["_type"] == "table-file"
    table = json.loads((files[1].parent / "files" / told["path"]).read_text(encoding="utf-8"))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    scores = list(csv.DictReader((run / "objects.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(scores) / 2
    assert [row["tuned"] for row in rows] == sorted(row["tuned"] for row in rows)
    expected = {
        (score["protocol"], score["sample_id"], int(score["index"]), score["model"]): float(score["iou"])
        for score in scores
    }
    for row in rows:
        of = (row["prompt"], row["sample"], row["object"])
        assert (row["untouched"], row["tuned"]) == pytest.approx((expected[*of, "base"], expected[*of, "tuned"]))


@pytest.mark.slow
def test_the_model_is_an_artefact_if_the_recipe_asks_for_it(run: Path, files: list[Path]) -> None:
    sent = [record.request.log_artifact.artifact for record in wandb_files.records(files[1])]
    sent += [record.artifact for record in wandb_files.records(files[1])]
    (artefact,) = (one for one in sent if one.type == "model")
    kept = (run / "wandb_id.txt").read_text(encoding="utf-8").strip()
    assert artefact.name == f"model-{kept}"
    held = {entry.path: entry.size for entry in artefact.manifest.contents}
    assert held == {path.name: path.stat().st_size for path in (run / "model").iterdir()}


def sweep() -> dict[str, object]:
    found = yaml.safe_load((DOCS / "sweep.yaml").read_text(encoding="utf-8"))  # as W&B reads it
    assert isinstance(found, dict)
    return found


def test_every_parameter_of_the_sweep_is_a_key_of_a_recipe_and_its_values_are_taken() -> None:
    parameters = sweep()["parameters"]
    assert isinstance(parameters, dict)
    assert set(parameters) == {"optimizer.learning_rate", "tuning.rank", "prompts.corrections"}
    assert set(parameters) <= key_paths()
    for name, space in parameters.items():
        tried = space.get("values") or [space["min"], space["max"]]
        for value in tried:
            command = create_sweep_command_args({"args": {name: {"value": value}}})["args_no_hyphens"]
            recipe = load_recipe(find_recipe("microscopy_nuclei"), ["tuning.mode=lora", *command])
            section, key = name.split(".")
            assert getattr(getattr(recipe, section), key) == value


def test_the_command_of_the_sweep_is_one_that_this_version_takes() -> None:
    found = sweep()
    template = found["command"]
    assert isinstance(template, list)
    arguments = create_sweep_command_args({"args": {"optimizer.learning_rate": {"value": 1e-05}}})["args_no_hyphens"]
    filled = create_sweep_command(list(template))
    assert filled[:4] == ["${env}", "${interpreter}", "-m", "adapt"] and filled[-1] == "${args_no_hyphens}"
    options, rest = _parser().parse_known_args([*filled[4:-1], *arguments])
    recipe = load_recipe(find_recipe(options.recipe), [*options.overrides, *rest])
    assert (recipe.tracking, recipe.optimizer.learning_rate) == ("wandb", 1e-5)
    assert found["method"] in ("bayes", "random", "grid")
    assert found["metric"] == {"name": "val/miou", "goal": "maximize"}


def test_the_page_shows_the_sweep_as_it_is() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "tracking.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert shown in (DOCS / "sweep.yaml").read_text(encoding="utf-8")
