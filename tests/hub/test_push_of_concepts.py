"""`adapt push` of a SAM 3 that is asked by phrases: plain transformers finds with it what the run finds."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from finished_runs import PATIENTS, make_concept_run
from huggingface_hub import ModelCard
from local_hub import LocalHub
from peft import PeftModel
from PIL import Image
from small_text_models import write_sam3
from transformers import CLIPTokenizer, Sam3Model

from adapt.cli import main
from adapt.hub.loaded import answers_to_phrase
from adapt.jobs.tuned import load_tuned
from adapt.recipe import load_recipe
from adapt.segmenters import Segmenter
from adapt.text import PhraseReader, load_concepts

pytestmark = [
    # huggingface-hub 2.4 uploads by a keyword that its client deprecates
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning"),
]
REPO = "team/cells"
LORA = "tuning: {mode: lora, rank: 2, targets: [decoder_attention], decoder: false}"


@pytest.mark.parametrize("more", ["", LORA])
def test_what_is_pushed_finds_by_a_phrase_what_the_run_finds(more: str, hub: LocalHub, tmp_path: Path) -> None:
    run = make_concept_run(tmp_path / "runs", more=more)
    assert main(["push", str(run), "--repo", REPO]) == 0
    commit = hub.repos[REPO].commits[-1]
    assert "adapter_model.safetensors" not in commit.files and "tokenizer.json" in commit.files
    plain = Sam3Model.from_pretrained(REPO, revision=commit.oid, dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(REPO, revision=commit.oid)
    tuned = load_tuned(load_recipe(run / "recipe.yaml"), run)
    assert isinstance(tuned, Segmenter)
    size = tuned.spec.image_size
    own = CLIPTokenizer.from_pretrained(tmp_path / "runs" / "sam3")
    for one, other in zip(
        answers_to_phrase(plain, tokenizer, size), answers_to_phrase(tuned.model, own, size), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    untouched = Sam3Model.from_pretrained(tmp_path / "runs" / "sam3", dtype=torch.float32).eval()
    assert not torch.equal(answers_to_phrase(untouched, own, size)[-1], answers_to_phrase(plain, tokenizer, size)[-1])


def test_the_card_has_both_models_their_difference_and_its_phrases(hub: LocalHub, tmp_path: Path) -> None:
    run = make_concept_run(tmp_path / "runs")
    assert main(["push", str(run), "--repo", REPO]) == 0
    files = hub.repos[REPO].commits[-1].files
    card = ModelCard(files["README.md"].decode())
    assert "4 objects in 2 images of 2 groups" in card.text
    assert "| untouched | 0.000 | 0.000 to 0.000 |" in card.text
    assert "| tuned | 0.250 | 0.000 to 0.500 |" in card.text
    assert "| difference | +0.250 | +0.000 to +0.500 |" in card.text
    assert "Phrases that it was tuned on: cell, dark nucleus." in card.text
    assert 'text="cell"' in card.text.replace("'", '"') and "Sam3Processor.from_pretrained" in card.text
    assert {figure.metric_name: figure.metric_value for figure in card.data.eval_results} == {
        "mIoU, untouched model": 0.0,
        "mIoU, tuned model": 0.25,
    }
    assert not any(name.encode() in content for name in (*PATIENTS, "alice") for content in files.values())
    assert json.loads(files["processor_config.json"])["processor_class"] == "Sam3Processor"


@pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")
def test_the_code_on_the_card_works_with_its_processor(hub: LocalHub, tmp_path: Path) -> None:
    run = make_concept_run(tmp_path / "runs")
    assert main(["push", str(run), "--repo", REPO]) == 0
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    code = ModelCard(hub.repos[REPO].commits[-1].files["README.md"].decode()).text.split("```")[3]
    names: dict[str, object] = {}
    exec(code.removeprefix("python").replace("image.png", str(tmp_path / "image.png")), names)
    masks, scores = names["masks"], names["scores"]
    assert isinstance(masks, torch.Tensor) and isinstance(scores, torch.Tensor)
    output = tmp_path / "masks"
    asked = ["predict", str(run), str(tmp_path / "image.png"), "--output", str(output), "--text", "cell"]
    assert main(asked) == 0
    own = json.loads((output / "image.json").read_bytes())["annotations"]
    assert masks.shape == (len(own), 30, 40) and len(own) > 0
    assert sorted(scores.tolist()) == pytest.approx(sorted(one["score"] for one in own), abs=0.05)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # of Sam3Model, by peft
def test_an_adapter_alone_is_put_on_its_base_by_plain_peft(hub: LocalHub, tmp_path: Path) -> None:
    base = write_sam3(tmp_path / "sam3", longest=32)
    hub.add_folder("team/base", base)
    run = make_concept_run(tmp_path / "runs", base="team/base", more=LORA)
    assert main(["push", str(run), "--repo", REPO, "--adapter-only"]) == 0
    commit = hub.repos[REPO].commits[-1]
    assert "model.safetensors" not in commit.files and {"adapter_model.safetensors", "tokenizer.json"} <= set(
        commit.files
    )
    stock = Sam3Model.from_pretrained("team/base", dtype=torch.float32)
    adapted = PeftModel.from_pretrained(stock, REPO, revision=commit.oid).eval()
    tokenizer = CLIPTokenizer.from_pretrained(REPO, revision=commit.oid)
    tuned = load_tuned(load_recipe(run / "recipe.yaml", ["model.attention=stock"]), run)
    assert isinstance(tuned, Segmenter)
    size = tuned.spec.image_size
    pairs = zip(
        answers_to_phrase(adapted, tokenizer, size), answers_to_phrase(tuned.model, tokenizer, size), strict=True
    )
    assert all(torch.equal(*pair) for pair in pairs)
    assert "from peft import PeftModel" in commit.files["README.md"].decode()


def test_what_was_pushed_is_pulled_with_its_tokenizer(hub: LocalHub, tmp_path: Path) -> None:
    assert main(["push", str(make_concept_run(tmp_path / "runs")), "--repo", REPO]) == 0
    assert main(["pull", REPO, "--output", str(tmp_path / "again")]) == 0
    recipe = load_recipe(tmp_path / "again" / "recipe.yaml")
    assert recipe.concepts.learn
    assert load_concepts(recipe.model.checkpoint, revision=None).family == "SAM 3"
    assert PhraseReader(recipe.model.checkpoint, revision=None).tokens(["cell"], longest=16)


def test_a_tokenizer_that_is_no_tokenizer_is_not_fetched(
    hub: LocalHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(make_concept_run(tmp_path / "runs")), "--repo", REPO]) == 0
    hub.repos[REPO].commits[-1].files["tokenizer.json"] = b" " * 10_000_001
    assert main(["pull", REPO, "--output", str(tmp_path / "again")]) == 1
    assert "tokenizer.json is larger than 10,000,000 bytes" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()
