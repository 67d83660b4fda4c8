"""Whole runs through the command line, on CT volumes that the test generates."""

import csv
import json
import os
import shutil
import signal
from pathlib import Path

import lightning
import pytest
import torch
from small_evaluation import SMALL_EVALUATION
from transformers import SamModel

from adapt.build import count_all_steps, count_epochs, make_plan
from adapt.callbacks.progress import TrainingProgress
from adapt.cli import main
from adapt.datamodules.generated.ct import write_phantom
from adapt.recipe import find_recipe, load_recipe
from adapt.segmenters import load_segmenter

pytestmark = pytest.mark.slow

SMALL = [
    "trainer.epochs=1",
    "trainer.batch_size=8",
    "evaluation.gallery=3",
    *SMALL_EVALUATION,
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    write_phantom(folder / "scans", patients=5, seed=1)
    return folder


def arguments(workplace: Path, *more: str) -> list[str]:
    places = [f"data.root={workplace}/scans", f"cache={workplace}/cache", f"output={workplace}/runs"]
    return ["--recipe", "quickstart", *places, *SMALL, *more]


@pytest.fixture(scope="module")
def run(workplace: Path) -> Path:
    """The folder of one finished fit."""
    assert main(["fit", *arguments(workplace)]) == 0
    (folder,) = (workplace / "runs" / "quickstart").iterdir()
    return folder


def test_the_run_folder_holds_what_was_promised(run: Path) -> None:
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert {
        "recipe.yaml",
        "versions.json",
        "splits.json",
        "metrics.jsonl",
        "metrics.csv",
        "results.json",
        "results.csv",
        "objects.csv",
        "report.html",
        "checkpoints/epoch_00001_batch_000000.ckpt",
        "checkpoints/epoch_00001_batch_000000.json",
        "training.json",
        "model/config.json",
        "model/model.safetensors",
    } <= names
    assert len([name for name in names if name.startswith("gallery/")]) == 6
    assert not [name for name in names if Path(name).name.startswith(".")]
    assert load_recipe(run / "recipe.yaml").trainer.epochs == 1


def test_results_compare_tuned_and_untouched_with_intervals(run: Path) -> None:
    results = json.loads((run / "results.json").read_bytes())
    assert set(results["protocols"]) == {"one_click", "box"}
    for figures in results["protocols"].values():
        for model in ("base", "tuned"):
            assert set(figures[model]) >= {"miou", "oracle_miou", "dice", "low", "high"}
            assert 0 <= figures[model]["miou"] <= figures[model]["oracle_miou"] <= 1
        gain = figures["difference"]
        assert gain["miou"] == pytest.approx(figures["tuned"]["miou"] - figures["base"]["miou"])
    assert results["groups"] == len(json.loads((run / "splits.json").read_bytes())["test"]) == 1
    assert (
        results["objects"]
        == len(list(csv.DictReader((run / "objects.csv").read_text(encoding="utf-8").splitlines()))) / 4
    )
    assert results["training"]["samples_per_second"] > 0
    assert 0 <= results["training"]["data_wait_share"] <= 1


def test_the_model_folder_loads_without_this_project_and_only_the_decoder_changed(run: Path) -> None:
    tuned = SamModel.from_pretrained(run / "model").state_dict()
    base = load_segmenter("adapt:tiny").model.state_dict()  # type: ignore[attr-defined]
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed
    assert all(name.startswith("mask_decoder.") for name in changed)


def test_evaluate_gives_the_figures_that_fit_gave(
    run: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "results.json").read_text(encoding="utf-8")
    assert main(["evaluate", str(run)]) == 0
    assert "Domain mIoU" in capsys.readouterr().out
    folder = min((run / "evaluations").iterdir())
    assert json.loads((folder / "results.json").read_bytes())["protocols"] == json.loads(before)["protocols"]
    assert (run / "results.json").read_text(encoding="utf-8") == before


def test_evaluate_of_a_recipe_scores_the_untouched_model_alone(run: Path, workplace: Path) -> None:
    assert main(["evaluate", *arguments(workplace, f"output={workplace}/untouched")]) == 0
    (folder,) = (workplace / "untouched" / "quickstart" / "untouched").iterdir()
    alone = json.loads((folder / "results.json").read_bytes())["protocols"]
    beside = json.loads((run / "results.json").read_bytes())["protocols"]
    assert "tuned" not in alone["box"]
    assert alone["box"]["base"] == beside["box"]["base"]


def test_the_same_recipe_gives_the_same_weights_with_and_without_workers(run: Path, workplace: Path) -> None:
    again = f"output={workplace}/again"
    assert main(["fit", *arguments(workplace, again, "trainer.workers=0", "evaluation.gallery=0")]) == 0
    (folder,) = (workplace / "again" / "quickstart").iterdir()
    one, two = (SamModel.from_pretrained(place / "model").state_dict() for place in (run, folder))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_dry_run_shows_the_plan_and_writes_no_run(
    workplace: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", *arguments(workplace, f"output={workplace}/dry"), "--dry-run"]) == 0
    text = capsys.readouterr().err
    assert "mask decoder 756,340 of 756,340" in text
    assert "train" in text and "steps" in text
    assert not (workplace / "dry").exists()


@pytest.mark.parametrize(("capability", "told"), [("AVX2", True), ("AVX512", False)])
def test_bfloat16_on_a_processor_without_it_is_told(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, capability: str, told: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    keys = ("trainer.precision=bf16-mixed", "trainer.accelerator=cpu")
    assert main(["fit", *arguments(workplace, *keys), "--dry-run"]) == 0
    assert ("no instructions for" in capsys.readouterr().err) is told


def test_a_second_run_opens_the_store_of_the_first(workplace: Path, run: Path) -> None:
    stores = {path: path.stat().st_mtime_ns for path in (workplace / "cache" / "stores").glob("*/data.arrow")}
    assert len(stores) == 2  # the data, and the general images
    assert main(["fit", *arguments(workplace), "--dry-run"]) == 0
    after = {path: path.stat().st_mtime_ns for path in (workplace / "cache" / "stores").glob("*/data.arrow")}
    assert after == stores


def other_hospital(folder: Path, scans: Path, names: dict[str, str]) -> None:
    """Copy patients under new names."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for old, new in names.items():
            shutil.copy(scans / kind / f"{old}.nii.gz", folder / kind / f"{new}.nii.gz")


def test_a_patient_of_the_training_is_never_evaluated_on(
    run: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = json.loads((run / "splits.json").read_bytes())["train"]
    other_hospital(workplace / "other", workplace / "scans", {name: name for name in trained[:2]})
    for more in ([f"data.root={workplace}/other"], [f"split.test_groups=[{trained[0]}]"]):
        assert main(["evaluate", str(run), *more]) == 1
        assert "trained or validated on" in capsys.readouterr().err
    assert main(["evaluate", str(run), 'data.group_pattern="(.*)"']) == 1
    assert "data.group_pattern" in capsys.readouterr().err


def test_all_patients_of_another_hospital_are_evaluated_even_a_single_one(run: Path, workplace: Path) -> None:
    for count in (1, 2):
        place = workplace / f"hospital{count}"
        other_hospital(place, workplace / "scans", {f"patient_0{n}": f"elsewhere_{n}" for n in range(count)})
        before = set((run / "evaluations").iterdir()) if (run / "evaluations").exists() else set()
        assert main(["evaluate", str(run), f"data.root={place}", "evaluation.gallery=0"]) == 0
        (folder,) = set((run / "evaluations").iterdir()) - before
        assert json.loads((folder / "results.json").read_bytes())["groups"] == count


def test_a_loss_that_is_no_number_stops_the_run(workplace: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = ["optimizer.learning_rate=1e12", "trainer.gradient_clip=0.0", "optimizer.warmup_steps=0", "trainer.epochs=3"]
    assert main(["fit", *arguments(workplace, f"output={workplace}/wild", *wild)]) == 1
    text = capsys.readouterr().err
    assert "so training has stopped" in text and "optimizer.learning_rate" in text
    (folder,) = (workplace / "wild" / "quickstart").iterdir()
    assert not (folder / "model").exists()


def test_the_newest_two_checkpoints_and_the_best_are_kept(workplace: Path, run: Path) -> None:
    # a rate of nearly zero: validation does not improve, so best stays behind
    more = (f"output={workplace}/last", "trainer.epochs=4", "evaluation.gallery=0", "optimizer.learning_rate=1e-12")
    assert main(["fit", *arguments(workplace, *more)]) == 0
    (folder,) = (workplace / "last" / "quickstart").iterdir()
    names = sorted(path.stem for path in (folder / "checkpoints").glob("*.ckpt"))
    assert names == [f"epoch_0000{epoch}_batch_000000" for epoch in (1, 3, 4)]


def test_a_run_without_its_model_is_an_error(run: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = workplace / "broken" / "run"
    shutil.copytree(run, broken, ignore=shutil.ignore_patterns("model"))
    assert main(["evaluate", str(broken)]) == 1
    assert "model" in capsys.readouterr().err


def test_wandb_without_a_server_does_not_stop_the_run(
    workplace: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the discard port: nothing listens
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    output = workplace / "tracked"
    more = (f"output={output}", "tracking=wandb", "evaluation.gallery=0")
    assert main(["fit", *arguments(workplace, *more)]) == 0
    text = capsys.readouterr().err
    assert text.count("W&B is offline") == 1
    assert "wandb sync" in text
    assert list(output.glob("quickstart/*/wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize(
    ("epochs", "min_steps", "steps_per_epoch", "expected"), [(3, 0, 7, 3), (3, 22, 7, 4), (3, 21, 7, 3)]
)
def test_few_images_are_passed_over_more_often(
    epochs: int, min_steps: int, steps_per_epoch: int, expected: int
) -> None:
    recipe = load_recipe(find_recipe("quickstart"), [f"trainer.epochs={epochs}", f"trainer.min_steps={min_steps}"])
    assert count_epochs(recipe, steps_per_epoch=steps_per_epoch) == expected


@pytest.mark.parametrize(
    ("epochs", "min_steps", "max_steps", "expected"),
    [
        (3, 0, 0, (3, 21)),
        (3, 0, 3, (1, 3)),
        (3, 0, 14, (2, 14)),
        (3, 0, 15, (3, 15)),
        (3, 0, 99, (3, 21)),
        (3, 1000, 3, (1, 3)),
        (3, 25, 0, (4, 28)),
        (3, 25, 26, (4, 26)),
    ],
)
def test_a_run_ends_after_its_most_steps_whatever_else_is_asked(
    epochs: int, min_steps: int, max_steps: int, expected: tuple[int, int]
) -> None:
    values = {"epochs": epochs, "min_steps": min_steps, "max_steps": max_steps}
    recipe = load_recipe(find_recipe("quickstart"), [f"trainer.{key}={value}" for key, value in values.items()])
    counts = count_epochs(recipe, steps_per_epoch=7), count_all_steps(recipe, steps_per_epoch=7)
    assert counts == expected
    assert make_plan(recipe, steps_per_epoch=7).total_steps == expected[1]


def test_two_patients_train_without_validation_and_give_no_interval(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_phantom(workplace / "two", patients=2, seed=4)
    places = [f"data.root={workplace}/two", f"output={workplace}/pair", "evaluation.gallery=0"]
    assert main(["fit", *arguments(workplace, *places)]) == 0
    printed = capsys.readouterr()
    assert "no group is left for validation" in printed.err
    assert "an interval needs at least 2 groups" in " ".join(printed.out.split())
    (folder,) = (workplace / "pair" / "quickstart").iterdir()
    assert json.loads((folder / "results.json").read_bytes())["protocols"]["box"]["tuned"]["low"] is None


def test_an_interrupted_run_says_what_it_has_kept(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = TrainingProgress.on_train_epoch_start

    def press_ctrl_c(self: TrainingProgress, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)
        real(self, trainer, pl_module)

    monkeypatch.setattr(TrainingProgress, "on_train_epoch_start", press_ctrl_c)
    before = signal.getsignal(signal.SIGINT)
    assert main(["fit", *arguments(workplace, f"output={workplace}/stopped", "trainer.epochs=2")]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    (folder,) = (workplace / "stopped" / "quickstart").iterdir()
    said = capsys.readouterr().err
    assert f"adapt evaluate {folder}" in said and f"adapt fit --resume {folder}" in said
    assert (folder / "metrics.csv").is_file()
    assert main(["evaluate", str(folder), "evaluation.gallery=0"]) == 0


def test_the_prompt_encoder_trains_when_asked(workplace: Path, run: Path) -> None:
    more = (f"output={workplace}/prompted", "tuning.prompt_encoder=true", "evaluation.gallery=0")
    assert main(["fit", *arguments(workplace, *more)]) == 0
    (folder,) = (workplace / "prompted" / "quickstart").iterdir()
    tuned = SamModel.from_pretrained(folder / "model").state_dict()
    base = load_segmenter("adapt:tiny").model.state_dict()  # type: ignore[attr-defined]
    changed = {name.split(".")[0] for name in base if not torch.equal(base[name], tuned[name])}
    assert changed == {"mask_decoder", "prompt_encoder"}


def test_every_packaged_recipe_has_its_description() -> None:
    assert load_recipe(find_recipe("quickstart")).description


def test_paths_with_brackets_are_printed_whole(workplace: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # rich takes [words] for styles and would leave them out
    assert main(["fit", *arguments(workplace, f"output={workplace}/runs [bold] 1", "evaluation.gallery=0")]) == 0
    assert f"{workplace}/runs [bold] 1/quickstart" in capsys.readouterr().err
