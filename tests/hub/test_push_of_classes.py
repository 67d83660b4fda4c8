"""`adapt push` of models that give each pixel a class: what loads them, and what their cards say."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from finished_runs import CLASSES, PATIENTS, make_class_run
from huggingface_hub import ModelCard
from local_hub import LocalHub
from PIL import Image
from small_families import SMALL, small_segmenter

from adapt.cli import main
from adapt.families import OWN_FAMILIES
from adapt.hub.loaded import label_maps, maps_of_classes
from adapt.hub.stock import STOCK
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters import load_segmenter
from adapt.semantic import answered

pytestmark = [
    # huggingface-hub 2.4 uploads by a keyword that its client deprecates
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]
REPO = "team/organs"
PADDED = [name for name in SMALL if small_segmenter(name).spec.fit == "pad" and name not in OWN_FAMILIES]


def run_of(family: str, folder: Path, *, more: str = "") -> Path:
    small_segmenter(family).save(folder / "base")
    return make_class_run(folder / "runs", folder / "base", more=more)


def pushed_card(hub: LocalHub) -> ModelCard:
    return ModelCard(hub.repos[REPO].commits[-1].files["README.md"].decode())


@pytest.mark.parametrize("family", list(SMALL))
def test_what_is_pushed_loads_as_the_card_says_and_knows_its_classes(
    family: str, hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(family, tmp_path)
    assert main(["push", str(run), "--repo", REPO]) == 0
    told = capsys.readouterr().out
    ours = family in OWN_FAMILIES or family == "SAM-HQ"
    assert (f'load_segmenter("{REPO}"' in told) is ours
    assert (f"from transformers import {STOCK[family].model.__name__}, " in told) is not ours
    commit = hub.repos[REPO].commits[-1]
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    size = tuned.spec.image_size
    expected = label_maps(tuned, size)
    assert expected.shape[1] == 3
    if ours:
        segmenter = load_segmenter(REPO, revision=commit.oid)
        assert segmenter.classes == CLASSES
        found = label_maps(segmenter, size)
    else:
        plain = STOCK[family].model.from_pretrained(REPO, revision=commit.oid, dtype=torch.float32).eval()
        assert dict(plain.config.id2label) == {0: "background", 1: "liver", 2: "kidney"}
        found = maps_of_classes(plain, size).flatten(0, 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", [*PADDED, "MobileSAM"])
def test_the_code_on_the_card_gives_the_label_map_of_the_run(family: str, hub: LocalHub, tmp_path: Path) -> None:
    run = run_of(family, tmp_path)
    assert main(["push", str(run), "--repo", REPO]) == 0
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((200, 150))
    picture.save(tmp_path / "image.png")
    names: dict[str, object] = {}
    code = pushed_card(hub).text.split("```")[3].removeprefix("python")
    exec(code.replace("image.png", str(tmp_path / "image.png")), names)
    labels = np.asarray(names["labels"])
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    image = np.asarray(picture)
    with torch.no_grad():
        maps = tuned.classify(tuned.encode(tuned.spec.to_model_frame(image)[None]))[0]
    expected = answered(maps, tuned.spec.frame(*image.shape[:2]))
    assert labels.shape == expected.shape == (150, 200)
    assert (labels == expected).mean() > 0.99


def test_the_card_has_the_figures_of_each_class_and_no_name_of_a_patient(hub: LocalHub, tmp_path: Path) -> None:
    run = run_of("SAM", tmp_path)
    assert main(["push", str(run), "--repo", REPO, "--pictures", "1"]) == 0
    files = hub.repos[REPO].commits[-1].files
    card = pushed_card(hub)
    figures = json.loads((run / "results.json").read_bytes())["semantic"]
    assert "without prompts" in card.text and "2 images of 2 groups" in card.text
    of = figures["classes"]["liver"]
    assert f"| liver | {of['iou']:.3f} | {of['low']:.3f} to {of['high']:.3f} | {of['dice']:.3f} | 2 |" in card.text
    assert f"| mean of classes | {figures['mean']['iou']:.3f} |" in card.text and "| background |" in card.text
    assert "![Image, true and answered label map of a test image](pictures/1.png)" in card.text
    (miou, dice) = card.data.eval_results
    mean = figures["mean"]
    assert (miou.metric_value, dice.metric_value) == (round(mean["iou"], 4), round(mean["dice"], 4))
    assert miou.metric_args["interval"]["low"] == mean["low"]
    assert card.data.pipeline_tag == "image-segmentation"
    assert not any(name.encode() in content for name in (*PATIENTS, "alice") for content in files.values())


def test_lora_is_pushed_merged_and_never_as_an_adapter(
    hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("SAM", tmp_path, more="tuning: {mode: lora, rank: 2}")
    assert main(["push", str(run), "--repo", REPO, "--adapter-only"]) == 1
    assert "no tokens for the classes" in capsys.readouterr().err
    assert main(["push", str(run), "--repo", REPO]) == 0
    assert "adapter_model.safetensors" not in hub.repos[REPO].commits[-1].files


def test_what_was_pushed_is_pulled_and_starts_a_run_of_the_same_classes(hub: LocalHub, tmp_path: Path) -> None:
    assert main(["push", str(run_of("SAM", tmp_path)), "--repo", REPO]) == 0
    assert main(["pull", REPO, "--output", str(tmp_path / "again")]) == 0
    recipe = load_recipe(tmp_path / "again" / "recipe.yaml")
    assert tuple(recipe.semantic.classes) == CLASSES
    assert load_segmenter(recipe.model.checkpoint).classes == CLASSES


def test_a_run_whose_figures_are_of_another_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of("SAM", tmp_path)
    (run / "results.json").write_text('{"protocols": {}}', encoding="utf-8")
    assert main(["push", str(run), "--repo", REPO, "--dry-run", "--output", str(tmp_path / "package")]) == 1
    assert "a card without figures says nothing" in capsys.readouterr().err
