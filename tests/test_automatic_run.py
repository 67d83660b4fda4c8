"""A whole run through the command line: automatic masks are compared, and their thresholds fitted into the run."""

import json
from pathlib import Path

import pytest
import yaml

from adapt.cli import main
from adapt.recipe import load_recipe

SMALL = [
    "data.root=adapt:shapes_folder",
    "model.checkpoint=adapt:tiny",
    "split.test=0.1",
    "prompts.corrections=0",
    "prompts.idle_rounds=0",
    "trainer.epochs=1",
    "trainer.objects_per_image=2",
    "trainer.min_steps=0",
    "trainer.workers=0",
    "trainer.accelerator=cpu",
    "evaluation.bootstrap_samples=100",
    "evaluation.gallery=0",
    "evaluation.gallery_every=0",
    "evaluation.following_images=0",
    "evaluation.retention.images=0",
    "evaluation.automatic.images=2",
    "evaluation.automatic.validation_images=2",
    "evaluation.automatic.points_per_side=6",
]


def _automatic(folder: Path) -> dict[str, dict[str, float]]:
    automatic: dict[str, dict[str, float]] = json.loads((folder / "results.json").read_text("utf-8"))["automatic"]
    return automatic


@pytest.mark.slow
def test_fitted_thresholds_are_kept_with_the_run_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [f"cache={tmp_path}/cache", f"output={tmp_path}/runs"]
    assert main(["fit", "--recipe", "folder", *places, *SMALL]) == 0
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    assert "Automatic masks of 2 images" in capsys.readouterr().out
    assert "Automatic masks of 2 images" in (run / "report.html").read_text(encoding="utf-8")
    before = _automatic(run)
    assert {"base", "tuned", "found50", "best_iou"} <= before.keys()

    assert main(["evaluate", str(run), "--fit-thresholds"]) == 0
    fitted = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    assert fitted["images"] == 2 and fitted["after"]["f1"] > fitted["before"]["f1"]
    recipe = load_recipe(run / "recipe.yaml")
    assert recipe.generate.predicted_iou == fitted["after"]["predicted_iou"] != 0.88
    assert recipe.generate.stability == fitted["after"]["stability"]
    (evaluation,) = (run / "evaluations").iterdir()
    after = _automatic(evaluation)
    assert after["predicted_iou"] == recipe.generate.predicted_iou
    assert after["tuned"]["best_iou"] > before["tuned"]["best_iou"]
    assert before["base"]["predicted_iou"] == before["tuned"]["predicted_iou"] == 0.88
    for name in ("predicted_iou", "stability"):  # each model with thresholds that suit it
        assert after["base"][name] == fitted["untouched"][name] and after["tuned"][name] == fitted["after"][name]

    set_by_hand = ["generate.predicted_iou=0.31", "generate.stability=0.42"]
    assert main(["evaluate", str(run), *set_by_hand]) == 0
    (by_hand,) = set((run / "evaluations").iterdir()) - {evaluation}
    alike = _automatic(by_hand)
    assert alike["base"]["predicted_iou"] == alike["tuned"]["predicted_iou"] == 0.31
    assert alike["base"]["stability"] == alike["tuned"]["stability"] == 0.42
    assert yaml.safe_load((run / "recipe.yaml").read_text("utf-8"))["trainer"]["epochs"] == 1  # else as it was

    assert main(["evaluate", str(run), "--fit-thresholds", f"data.root={tmp_path}/other"]) == 1
    (run / "thresholds.json").write_text('{"images": 2}', encoding="utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 1
    assert "thresholds.json cannot be read ('before'); fit them again" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.slow
def test_a_recipe_may_ask_that_thresholds_are_fitted_after_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"cache={tmp_path}/cache", f"output={tmp_path}/runs", "evaluation.automatic.fit_thresholds=true"]
    assert main(["fit", "--recipe", "folder", *places, *SMALL]) == 0
    (run,) = (tmp_path / "runs" / "folder").iterdir()
    said = "thresholds of automatic masks, fitted on 2 validation images: generate.predicted_iou="
    assert said in capsys.readouterr().err
    fitted = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    recipe = load_recipe(run / "recipe.yaml")
    assert (recipe.generate.predicted_iou, recipe.generate.stability) == (
        fitted["after"]["predicted_iou"],
        fitted["after"]["stability"],
    )
    assert _automatic(run)["predicted_iou"] == fitted["after"]["predicted_iou"] != 0.88
    assert _automatic(run)["tuned"]["masks"] > 0

    assert main(["fit", "--recipe", "folder", *places, *SMALL, "split.validation=0"]) == 0
    assert "stay as they are: there is no validation split" in capsys.readouterr().err
    (other,) = set((tmp_path / "runs" / "folder").iterdir()) - {run}
    assert _automatic(other)["predicted_iou"] == 0.88 and not (other / "thresholds.json").exists()


@pytest.mark.parametrize("options", [["--recipe", "folder"], ["run", "--interpolate", "0:1:0.5"]])
def test_thresholds_are_fitted_to_a_run_only(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    named = [str(tmp_path / "run") if option == "run" else option for option in options]
    assert main(["evaluate", *named, "--fit-thresholds"]) == 2
    assert "--fit-thresholds needs the folder of a run" in capsys.readouterr().err
