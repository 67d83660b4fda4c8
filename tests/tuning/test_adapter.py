"""Adapters between frozen layers: exactly which parameters train, of which width and where."""

import pytest
import torch

from adapt.recipe import AdapterTuning
from adapt.segmenters import load_segmenter
from adapt.tuning import choose, neutral, trainable_names
from adapt.tuning.adapter import ChannelAndSpace

BOTTLENECK = ["down.weight", "down.bias", "up.weight", "up.bias"]
EXPECTED = {
    "medical_sam": [f"{place}.adapter.{name}" for place in ("attn", "mlp") for name in BOTTLENECK],
    "sam_med2d": [f"mlp.adapter.{name}.weight" for name in ("squeeze", "excite", "shrink", "up")],
    "adaptformer": [f"mlp.adapter.{name}" for name in BOTTLENECK],
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_adapters_of_the_last_blocks_train_and_nothing_else(kind: str) -> None:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, AdapterTuning.model_validate({"kind": kind, "blocks": 2, "width": 5, "decoder": False}))
    assert trainable_names(segmenter) == [
        f"model.vision_encoder.layers.{block}.{name}" for block in (5, 6) for name in EXPECTED[kind]
    ]
    shapes = [tuple(parameter.shape) for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
    assert all(5 in shape or shape == (192,) for shape in shapes)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1)])
def test_channel_and_space_keep_the_size_whether_odd_or_even(size: tuple[int, int]) -> None:
    adapter = ChannelAndSpace(6, 3)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    hidden = torch.randn(2, *size, 6)
    assert adapter(hidden).shape == hidden.shape
    assert not torch.equal(adapter(hidden), hidden)


@pytest.mark.parametrize("kind", EXPECTED)
def test_neutral_undoes_what_training_has_made_of_the_adapters(kind: str) -> None:
    segmenter = load_segmenter("adapt:tiny")
    images = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        before = segmenter.encode(images).embedding
        choose(segmenter, AdapterTuning.model_validate({"kind": kind, "blocks": 1, "width": 4, "decoder": False}))
        for _, parameter in segmenter.named_parameters():
            if parameter.requires_grad:
                parameter.normal_()
        assert not torch.equal(segmenter.encode(images).embedding, before)
        neutral(segmenter)
        assert torch.equal(segmenter.encode(images).embedding, before)
