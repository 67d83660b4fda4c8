"""Whole runs that learn concepts, from the command line: fit, evaluate, predict, resume, LoRA, what is refused."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from counted_images import Encoded
from PIL import Image
from safetensors.torch import load_file
from small_text_models import write_sam3
from transformers import Sam3Model
from transformers.models.sam3.modeling_sam3 import Sam3ViTPatchEmbeddings

from adapt.callbacks.checkpoints import AtomicCheckpointIO
from adapt.callbacks.kept import kept_checkpoints
from adapt.cli import main
from adapt.text import load_concepts

pytestmark = pytest.mark.slow

SMALL = [
    *("data.label_kind=masks", "concepts.learn=true", "trainer.epochs=20", "trainer.min_steps=0", "trainer.workers=0"),
    *("trainer.accelerator=cpu", "trainer.batch_size=2", "optimizer.warmup_steps=0", "optimizer.learning_rate=3e-3"),
    *("text.concept_threshold=0.2", "features.dtype=float32", "trainer.gradient_clip=0", "augment.vertical_flip=0"),
    *("augment.horizontal_flip=0", "augment.rotate90=0", "augment.brightness_contrast=0"),
]


def draw(root: Path, images: int) -> None:
    """Pictures of cells and discs, of which every other picture has no disc."""
    random = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    for number in range(images):
        picture = random.integers(0, 60, (56, 56, 3)).astype(np.uint8)
        for place, (category, colour) in enumerate({"cell": (220, 60, 60), "disc": (60, 60, 220)}.items()):
            if category == "disc" and number % 2:
                continue
            mask = np.zeros((56, 56), dtype=np.uint8)
            top, left = 28 * place + random.integers(0, 10), random.integers(0, 36)
            mask[top : top + 16, left : left + 18] = 255
            picture[mask > 0] = colour
            folder = root / "labels" / f"{number:02d}" / category
            folder.mkdir(parents=True)
            Image.fromarray(mask).save(folder / "0.png")
        Image.fromarray(picture).save(root / "images" / f"{number:02d}.png")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    draw(folder / "data", 10)
    write_sam3(folder / "sam3")
    return folder


def words(workplace: Path, name: str) -> list[str]:
    places = [f"data.root={workplace}/data", f"model.checkpoint={workplace}/sam3", f"cache={workplace}/cache"]
    return [*SMALL, *places, f"output={workplace / name}"]


def fit(workplace: Path, name: str, *more: str) -> Path:
    assert main(["fit", "--recipe", "folder", *words(workplace, name), *more]) == 0
    (folder,) = (workplace / name / "folder").iterdir()
    return folder


@pytest.fixture(scope="module")
def run(workplace: Path) -> Path:
    return fit(workplace, "decoder")


@pytest.fixture(scope="module")
def lora(workplace: Path) -> Path:
    more = ("tuning.mode=lora", "tuning.targets=[decoder_attention]", "tuning.decoder=false", "trainer.epochs=1")
    return fit(workplace, "lora", *more, "trainer.precision=bf16-mixed")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_figures_of_both_models_and_keeps_the_best_epoch(run: Path) -> None:
    figures = rows(run / "text.csv")
    assert [(row["model"], row["prompts"]) for row in figures] == [("untouched", "text"), ("tuned", "text")]
    assert float(figures[1]["region_iou"]) > float(figures[0]["region_iou"])
    assert json.loads((run / "results.json").read_bytes())["categories"] == ["cell", "disc"]
    assert "untouched" in (run / "report.html").read_text(encoding="utf-8")
    metrics = rows(run / "metrics.csv")
    mious = [float(row["val/miou"]) for row in metrics if row.get("val/miou")]
    losses = [float(row["train/loss"]) for row in metrics if row.get("train/loss")]
    assert len(mious) == 20 and max(mious) > 0.2 and losses[-1] < losses[0] / 2
    assert {"train/score", "train/presence", "train/giou", "train/dice"} <= set(metrics[0])
    kept = kept_checkpoints(run / "checkpoints", tell=pytest.fail)
    best = [one.path for one in kept if one.place.score == max(other.place.score or 0 for other in kept)]
    states = [AtomicCheckpointIO().load_checkpoint(path)["state_dict"] for path in best]
    model = load_file(run / "model" / "model.safetensors")
    assert any(
        all(torch.equal(values, model[name.removeprefix("segmenter.model.")]) for name, values in state.items())
        for state in states
    )


def test_the_model_loads_in_plain_transformers_and_its_encoders_are_untouched(workplace: Path, run: Path) -> None:
    tuned, stock = (Sam3Model.from_pretrained(folder) for folder in (run / "model", workplace / "sam3"))
    changed = {
        name.split(".")[0] for name, values in tuned.named_parameters() if not values.equal(stock.get_parameter(name))
    }
    assert changed == {"detr_encoder", "detr_decoder", "dot_product_scoring", "mask_decoder"}
    assert tuned.mask_decoder.semantic_projection.weight.equal(stock.mask_decoder.semantic_projection.weight)


def test_evaluate_gives_the_figures_that_fit_gave(run: Path) -> None:
    assert main(["evaluate", str(run), "--text"]) == 0
    (table,) = run.glob("evaluations/*/text.csv")
    assert rows(table) == rows(run / "text.csv")


@pytest.mark.parametrize("which", ["run", "lora"])
def test_predict_finds_what_the_tuned_model_finds_by_a_phrase(
    which: str, workplace: Path, request: pytest.FixtureRequest
) -> None:
    folder, image = request.getfixturevalue(which), workplace / "data" / "images" / "00.png"
    output = workplace / f"masks_{which}"
    assert main(["predict", str(folder), str(image), "--output", str(output), "--text", "cell"]) == 0
    found = json.loads((output / "00.json").read_bytes())["annotations"]
    assert found and all(one["prompt"] == {"text": "cell"} for one in found)
    if which == "lora":
        merged = workplace / "merged"
        assert main(["merge", str(folder), "--output", str(merged)]) == 0
        Sam3Model.from_pretrained(merged)
    else:
        again = workplace / "masks_model"
        keys = ["text.concept_threshold=0.2", "trainer.accelerator=cpu"]
        given = ["predict", str(folder / "model"), str(image), "--output", str(again), "--text", "cell", *keys]
        assert main(given) == 0
        stock = json.loads((again / "00.json").read_bytes())["annotations"]
        assert [one["segmentation"] for one in stock] == [one["segmentation"] for one in found]


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(workplace: Path, run: Path) -> None:
    stopped = workplace / "stopped" / "folder" / "run"
    shutil.copytree(run, stopped, ignore=shutil.ignore_patterns("model", "training.json", "report.html"))
    newest = kept_checkpoints(stopped / "checkpoints", tell=pytest.fail)[-1].path
    for path in newest.parent.glob(f"{newest.stem}*"):
        path.unlink()  # the last epoch is lost
    assert main(["fit", "--resume", str(stopped)]) == 0
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (run, stopped))
    assert all(torch.equal(values, other[name]) for name, values in one.items())
    assert rows(stopped / "text.csv") == rows(run / "text.csv")


LORA = ["tuning.mode=lora", "trainer.epochs=1", "features.views=1", "tuning.decoder=false"]


@pytest.mark.parametrize(
    "tuning",
    [
        pytest.param(["trainer.epochs=1", "features.views=1"], id="decoder"),
        pytest.param([*LORA, "tuning.targets=[decoder_attention]"], id="lora of the decoder"),
        pytest.param([*LORA, "tuning.targets=[query]", "tuning.blocks=1"], id="lora of the last block"),
    ],
)
def test_each_image_is_encoded_once_for_both_models_and_never_again(
    tuning: list[str], workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LoRA in the last block, what lies in front of it."""
    encoded = Encoded(monkeypatch, Sam3ViTPatchEmbeddings)
    places = [f"output={tmp_path}", f"cache={tmp_path}/cache"]
    assert main(["fit", "--recipe", "folder", *words(workplace, "never"), *places, *tuning]) == 0
    (run,) = (tmp_path / "folder").iterdir()
    test = len(json.loads((run / "splits.json").read_bytes())["test"])
    assert encoded.count == 10 > test > 1
    encoded.count = 0
    assert main(["evaluate", str(run), "--text"]) == 0
    assert encoded.count == 0
    assert main(["evaluate", str(run), "--text", "features.cache=false"]) == 0
    assert encoded.count == test
    tables = [rows(path) for path in (run / "text.csv", *run.glob("evaluations/*/text.csv"))]
    assert len(tables) == 3 and tables[0] == tables[1] == tables[2]


def test_only_what_is_inserted_changes_with_lora(workplace: Path, lora: Path) -> None:
    assert (lora / "adapter" / "adapter_config.json").is_file() and not (lora / "model").exists()
    names = set(load_file(lora / "adapter" / "adapter_model.safetensors"))
    assert names and all("lora_" in name and "vision_encoder" not in name for name in names)
    assert load_concepts(str(workplace / "sam3"), revision=None).family == "SAM 3"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["predict", "RUN", "IMAGE", "--output", "OUT"], "asked by phrases: give --text PHRASE"),
        (["evaluate", "RUN"], "asked by text: give --text"),
        (["export", "RUN", "--output", "OUT"], "export is for models that are prompted by clicks and boxes"),
        (["demo", "RUN"], "the demo is for models that are prompted by clicks and boxes"),
        (["predict", "RUN", "IMAGE", "--output", "OUT", "--text", "abcdefghijklmnop"], "say it in fewer words"),
        (["fit", "FIT", "model.checkpoint=adapt:tiny"], "concepts.learn tunes a SAM 3"),
        (["fit", "FIT", "--auto-batch"], "set trainer.batch_size"),
        (["fit", "FIT", "text.phrases={cell: ' '}"], "a category without a name ('cell')"),
        (["fit", "FIT", "text.phrases={cell: disc}"], "several categories by the same words (disc)"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    given: list[str], message: str, workplace: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": [str(run)], "IMAGE": [f"{workplace}/data/images/00.png"], "OUT": [f"{workplace}/never"]}
    places["FIT"] = ["--recipe", "folder", *words(workplace, "bad")]
    assert main([part for word in given for part in places.get(word, [word])]) in (1, 2)
    told = capsys.readouterr().err
    assert message in " ".join(told.split()) and "Traceback" not in told
    assert not (workplace / "never").exists() and not (workplace / "bad").exists()
