"""SAM 3 finds objects by text: as the stock model answers, through the command, and what it does not do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_text_models import write_sam3
from torch.nn import functional
from transformers import Sam3Model

from adapt.cli import main
from adapt.concepts.matching import corners
from adapt.doctor import examine
from adapt.errors import CheckpointError, DataError
from adapt.predict.asking import encode
from adapt.segmenters import detector_of, load_segmenter
from adapt.text import PhraseReader, has_concepts, load_concepts, masks_of_concepts, read_phrases

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam3(tmp_path_factory.mktemp("sam3"))


def centred(_: object, __: object, found: Any) -> Any:  # noqa: ANN401 - a model's own output
    """Random weights make masks of all or nothing; about their mean, they have an outline."""
    found.pred_masks = found.pred_masks - found.pred_masks.mean((2, 3), keepdim=True)
    return found


def test_objects_are_those_of_the_stock_model(sam3: Path) -> None:
    finder, reader = load_concepts(str(sam3), revision=None), PhraseReader(str(sam3), revision=None)
    finder.model.mask_decoder.register_forward_hook(centred)
    phrases = ("a disc", "cell")
    texts = read_phrases(finder, reader, phrases)
    seen = encode(finder, PICTURE, torch.device("cpu"))
    every = masks_of_concepts(finder, seen, height=40, width=60, phrases=phrases, texts=texts, threshold=0.2448)
    found = [one for one in every if one.phrase == "cell"]
    stock = Sam3Model.from_pretrained(sam3, attn_implementation="sdpa").eval()
    stock.mask_decoder.register_forward_hook(centred)
    side = (56, 56)
    pixels = np.asarray(Image.fromarray(PICTURE).resize(side, Image.Resampling.BILINEAR)) / np.float32(127.5) - 1
    read = reader._tokenizer("cell", padding="max_length", max_length=12, return_tensors="pt")
    with torch.no_grad():
        answer = stock(pixel_values=torch.from_numpy(pixels).permute(2, 0, 1)[None], **read)
    scores = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0]
    order = [place for place in scores.argsort(descending=True).tolist() if scores[place] > 0.2448]
    assert 0 < len(order) == len(found) < 6
    assert [one.score for one in found] == pytest.approx(scores[order].tolist(), abs=1e-5)
    shares = functional.interpolate(answer.pred_masks.sigmoid(), (40, 60), mode="bilinear", align_corners=False)[0]
    for one, expected in zip(found, shares[order].numpy() > 0.5, strict=True):
        assert (one.mask != expected).mean() < 0.001 and 0.1 < one.mask.mean() < 0.9


@torch.no_grad()
@pytest.mark.parametrize("size", [56, 84])
def test_candidates_are_those_of_the_stock_model_to_the_bit_at_any_input_size(sam3: Path, size: int) -> None:
    finder, reader = load_concepts(str(sam3), revision=None), PhraseReader(str(sam3), revision=None)
    sized = finder.at_input_size(size)
    texts = read_phrases(sized, reader, ["cell", "disc"])
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    detector = detector_of(sized)
    assert detector is not None and sized.spec.image_size == size
    found = detector.find(sized.encode(images), texts)
    read = reader._tokenizer(["cell", "disc"], padding="max_length", max_length=12, return_tensors="pt")
    stock = sized.model(pixel_values=images, **read)
    assert found.masks.shape == (2, 6, sized.spec.mask_size, sized.spec.mask_size)
    assert found.masks.equal(stock.pred_masks) and found.logits[-1].equal(stock.pred_logits)
    assert corners(found.boxes[-1]).allclose(stock.pred_boxes, atol=1e-6)
    assert found.presence[-1].equal(stock.presence_logits[:, 0])
    assert found.scores.equal(stock.pred_logits.sigmoid() * stock.presence_logits.sigmoid())


def test_a_phrase_longer_than_the_text_model_takes_is_refused(sam3: Path) -> None:
    finder, reader = load_concepts(str(sam3), revision=None), PhraseReader(str(sam3), revision=None)
    with pytest.raises(DataError, match=r"has 18 word pieces .* and the text model takes 12; say it in fewer words"):
        read_phrases(finder, reader, ["abcdefghijklmnop"])


def test_predict_needs_no_detector_and_names_objects_by_their_phrase(
    sam3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    given = ("predict", str(sam3), str(tmp_path / "a.png"), "--output", str(tmp_path / "out"), "--text", "cell")
    keys = ("text.concept_threshold=0.2", "trainer.accelerator=cpu")
    assert main((*given, *keys)) == 0
    annotations = json.loads((tmp_path / "out" / "a.json").read_text())["annotations"]
    assert len(annotations) > 1 and all(one["prompt"] == {"text": "cell"} for one in annotations)
    capsys.readouterr()
    assert main((*given, *keys)) == 0 and "1 done before" in capsys.readouterr().out
    assert main((*given, "trainer.accelerator=cpu")) == 0
    assert "lower text.concept_threshold (0.5)" in capsys.readouterr().err.replace("\n", " ")


def test_what_takes_no_prompts_is_refused_by_name(sam3: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"'sam3' model, which takes no clicks and boxes.*--text PHRASE.*set concepts.learn=true"
    ):
        load_segmenter(str(sam3))


def test_doctor_says_what_a_text_finds_with_it(sam3: Path, tmp_path: Path) -> None:
    verdict = examine(str(sam3))
    assert verdict.usable and verdict.family == ""
    assert "answers texts alone: adapt predict" in dict(verdict.lines)["text"]
    assert has_concepts(str(sam3), revision=None) and not has_concepts("adapt:tiny", revision=None)
    assert not has_concepts("owner/nothing", revision=None)
