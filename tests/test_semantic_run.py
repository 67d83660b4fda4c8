"""Whole runs with classes, through the command line: fit, evaluate, predict, resume, merge, and what is refused."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import SamModel

from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.callbacks.kept import kept_checkpoints
from adapt.cli import main
from adapt.datamodules.generated.ct import draw_patient, write_phantom
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.semantic import answered

pytestmark = pytest.mark.slow

SMALL = [
    "model.input_size=64",
    "trainer.epochs=2",
    "trainer.batch_size=4",
    "data.labels={liver: 1, vertebra: 4}",
    "data.other_labels=ignore",
    "semantic.classes=[liver,vertebra]",
    "optimizer.warmup_steps=0",
    "trainer.workers=0",
    "augment.rotate=0.0",
    "augment.scale=0.0",
    "augment.brightness_contrast=0.0",
    "evaluation.bootstrap_samples=200",
    "evaluation.gallery=3",
]
DECODER = ["tuning.mode=decoder", "features.dtype=float32"]
CLASSES = ("liver", "vertebra")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs lie, and the volumes of five patients."""
    folder = tmp_path_factory.mktemp("workplace")
    write_phantom(folder / "scans", patients=5, seed=0)
    return folder


def fit(workplace: Path, name: str, *more: str) -> Path:
    output = workplace / name
    words = [*SMALL, f"data.root={workplace}/scans", f"cache={workplace}/cache", f"output={output}", *more]
    assert main(["fit", "--recipe", "semantic_organs", *words]) == 0
    (folder,) = (output / "semantic_organs").iterdir()
    return folder


@pytest.fixture(scope="module")
def lora(workplace: Path) -> Path:
    return fit(workplace, "lora", "trainer.epochs=1", "tuning.blocks=1")


@pytest.fixture(scope="module")
def decoder(workplace: Path) -> Path:
    return fit(workplace, "decoder", *DECODER)


def figures(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "results.json").read_bytes())["semantic"]
    return found


def losses(folder: Path) -> list[float]:
    """Of each epoch."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        found = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert found
    return found


def test_a_run_leaves_figures_of_each_class_pictures_and_a_report(decoder: Path) -> None:
    found = figures(decoder)
    assert list(found["classes"]) == list(CLASSES)
    assert found["mean"]["iou"] > 0.1
    assert found["mean"]["iou"] == pytest.approx(np.mean(list(found["groups"].values())))
    with (decoder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["mean of classes", *CLASSES, "background"]
    assert float(rows["liver"]["iou"]) == found["classes"]["liver"]["iou"]
    with (decoder / "images.csv").open(encoding="utf-8", newline="") as file:
        images = list(csv.DictReader(file))
    assert len(images) == found["images"] * 3
    report = (decoder / "report.html").read_text(encoding="utf-8")
    assert "Mean IoU of 2 classes" in report and report.count("data:image/png") == 3
    assert len(list((decoder / "gallery").glob("classes_*.png"))) == 3


def test_the_epoch_of_the_best_mean_iou_is_kept(decoder: Path) -> None:
    with (decoder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        mious = [float(row["val/miou"]) for row in csv.DictReader(file) if row.get("val/miou")]
    assert len(set(mious)) == 2
    kept = {one.place.score: one.path for one in kept_checkpoints(decoder / "checkpoints", tell=pytest.fail)}
    assert max(kept) == pytest.approx(max(mious), abs=1e-6)
    state = AtomicCheckpointIO().load_checkpoint(kept[max(kept)])["state_dict"]
    model = load_file(decoder / "model" / "model.safetensors")
    for name, values in state.items():
        assert torch.equal(values, model[name.removeprefix("segmenter.model.")])


def test_an_epoch_without_cached_features_is_the_same_to_the_last_bit(workplace: Path) -> None:
    alone = [*DECODER, "trainer.epochs=1", "trainer.batch_size=1"]  # in larger batches an image is rounded otherwise
    cached = fit(workplace, "cached", *alone)
    fresh = fit(workplace, "uncached", *alone, "features.cache=false")
    assert losses(fresh) == losses(cached)


@pytest.mark.parametrize("mode", ["lora", "decoder"])
def test_evaluate_gives_the_figures_that_fit_gave(mode: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(mode)
    assert main(["evaluate", str(folder)]) == 0
    assert figures(min((folder / "evaluations").iterdir())) == figures(folder)


def test_predict_writes_volumes_with_the_values_of_the_structures(workplace: Path, decoder: Path) -> None:
    source = workplace / "scans" / "images" / "patient_00.nii.gz"
    assert main(["predict", str(decoder), str(source), "--output", str(workplace / "out")]) == 0
    written, given = nibabel.load(workplace / "out" / "patient_00.nii.gz"), nibabel.load(source)
    assert written.shape == given.shape
    assert np.array_equal(written.affine, given.affine)
    assert set(np.unique(np.asarray(written.dataobj)).tolist()) == {0, 1, 4}
    rows = json.loads((workplace / "out" / "records" / "patient_00.json").read_bytes())["objects"]
    assert [row["category"] for row in rows] == list(CLASSES)


def test_the_code_on_the_page_gives_the_same_label_map_with_this_package_and_without(
    decoder: Path, workplace: Path
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "semantic.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert ["adapt" in code for code in blocks] == [True, False]
    voxels, _ = draw_patient(np.random.default_rng([0, 0]))
    picture = np.repeat(np.clip((voxels[10] + 160.0) / 400 * 255, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(picture).save(workplace / "image.png")
    segmenter = load_tuned(load_recipe(decoder / "recipe.yaml"), decoder)
    with torch.no_grad():
        logits = segmenter.classify(segmenter.encode(segmenter.spec.to_model_frame(picture)[None]))[0]
    answer = answered(logits, segmenter.spec.frame(*picture.shape[:2]))
    assert set(np.unique(answer).tolist()) == {0, 1, 2}
    for code in blocks:
        names: dict[str, Any] = {}
        here = code.replace("image.png", str(workplace / "image.png"))
        exec(here.replace("runs/semantic_organs/<time>", str(decoder)), names)
        assert np.array_equal(names["labels"], answer)


@torch.no_grad()
def test_merged_it_is_a_checkpoint_whose_maps_transformers_gives(workplace: Path, lora: Path) -> None:
    assert (lora / "adapter" / "adapter.json").is_file()
    assert main(["merge", str(lora), "--output", str(workplace / "merged")]) == 0
    merged = SamModel.from_pretrained(workplace / "merged", dtype=torch.float32).eval()
    assert tuple(merged.config.id2label.values()) == ("background", *CLASSES)
    tuned = load_tuned(load_recipe(lora / "recipe.yaml"), lora)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = tuned.classify(tuned.encode(images))
    torch.testing.assert_close(merged(pixel_values=images).pred_masks[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(workplace: Path, decoder: Path) -> None:
    stopped = workplace / "stopped" / "semantic_organs" / "run"
    shutil.copytree(decoder, stopped, ignore=shutil.ignore_patterns("model", "training.json", "report.html"))
    newest = kept_checkpoints(stopped / "checkpoints", tell=pytest.fail)[-1].path
    for path in newest.parent.glob(f"{newest.stem}*"):
        path.unlink()  # the second epoch is lost
    assert main(["fit", "--resume", str(stopped)]) == 0
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (decoder, stopped))
    assert all(torch.equal(values, other[name]) for name, values in one.items())
    assert figures(stopped) == figures(decoder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "RUN", "--output", "OUT"], "export is for models that are prompted"),
        (["evaluate", "RUN", "--interpolate", "0:1:0.5"], "scored alone"),
        (["evaluate", "RUN", "--fit-thresholds"], "scored alone"),
        (["evaluate", "RUN", "--propagate"], "--propagate is for models that are prompted"),
        (["evaluate", "RUN", "--text"], "--text is for models that are prompted"),
        (["demo", "RUN"], "the demo is for models that are prompted"),
        (["evaluate", "--recipe", "semantic_organs"], "untouched one knows no classes"),
        (["evaluate", "RUN", "semantic.classes=[vertebra,liver]"], "in another order"),
        (["evaluate", "RUN", "semantic.classes=[]"], "answers by classes and cannot be prompted"),
        (["compare", "RUN", "LORA"], "objects.csv"),
    ],
)
def test_what_a_model_with_classes_cannot_do_is_one_clear_error(
    words: list[str], message: str, decoder: Path, lora: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(decoder), "LORA": str(lora), "OUT": str(workplace / "never")}
    assert main([places.get(word, word) for word in words]) in (1, 2)
    told = capsys.readouterr().err
    assert message in " ".join(told.split())
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("semantic.classes=[liver]", "objects of vertebra, which semantic.classes does not name"),
        ("semantic.classes=[liver,vertebra,lung]", "no object of the data is of the classes lung"),
    ],
)
def test_classes_that_are_not_those_of_the_data_are_refused_before_training(
    override: str, message: str, workplace: Path, decoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*SMALL, f"data.root={workplace}/scans", f"cache={workplace}/cache", f"output={workplace}/bad", override]
    assert main(["fit", "--recipe", "semantic_organs", *words]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (workplace / "bad").exists()
