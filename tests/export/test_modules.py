"""What is exported is the model: the same answers from plain tensors, whatever the prompts."""

import importlib.util
from pathlib import Path

import pytest
import torch

from adapt.cli import main
from adapt.export import with_decoder
from adapt.export.check import random_prompts
from adapt.export.modules import Decoder, Encoder
from adapt.segmenters import PromptableSegmenter, load_segmenter


@pytest.fixture(scope="module")
def segmenter() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny").at_input_size(64)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(12))
def test_the_decoder_answers_as_the_stock_one(seed: int, segmenter: PromptableSegmenter) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = segmenter.encode(torch.randn(1, 3, 64, 64, generator=generator))
    prompts = random_prompts(64, 16, generator)
    exported = with_decoder(segmenter, Decoder(segmenter.model).eval())
    for multimask in (False, True):
        ours = exported.decode(features, prompts, multimask=multimask)
        theirs = segmenter.decode(features, prompts, multimask=multimask)
        torch.testing.assert_close(ours.logits, theirs.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours.iou, theirs.iou, atol=1e-5, rtol=1e-5)


def test_random_prompts_are_of_every_kind() -> None:
    drawn = [random_prompts(64, 16, torch.Generator().manual_seed(seed)) for seed in range(40)]
    kinds = {(one.points is not None, one.boxes is not None, one.masks is not None) for one in drawn}
    assert len(kinds) == 6  # clicks, a box, both; with and without a mask
    assert any(one.point_labels is not None and (one.point_labels == -10).any() for one in drawn)


@torch.no_grad()
def test_the_encoder_is_the_stock_one(segmenter: PromptableSegmenter) -> None:
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    own = Encoder(segmenter.model).eval()(images)
    torch.testing.assert_close(own, segmenter.encode(images).embedding, atol=1e-4, rtol=1e-4)


def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text("data: {kind: folder, root: x}", encoding="utf-8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["export", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "needs onnx, onnxruntime, onnxscript; install it: pip install 'adapt-sam[export]'" in capsys.readouterr().err


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "is not the folder of a run" in capsys.readouterr().err
