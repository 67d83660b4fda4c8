"""With classes, a gradient reaches exactly what trains, in every mode."""

import copy
import functools

import pytest
import torch

from adapt.recipe import (
    AdapterTuning,
    DecoderTuning,
    FullTuning,
    LoraTuning,
    NormTuning,
    ScaleShiftTuning,
    TuningSettings,
)
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.semantic import ClassObjective, class_losses
from adapt.tuning import choose, freeze_unasked, trainable_names

CLASSES = ("square", "disc")
OBJECTIVE = ClassObjective(CLASSES, cross_entropy=0.2, dice=0.8, at="mask")
MODES: dict[str, TuningSettings] = {
    "decoder": DecoderTuning(),
    "decoder and prompts": DecoderTuning(prompt_encoder=True),
    "lora": LoraTuning(rank=2, blocks=2),
    "adapter": AdapterTuning(width=4, blocks=2),
    "scale_shift": ScaleShiftTuning(blocks=2),
    "norm": NormTuning(blocks=2),
    "full": FullTuning(),
}


@functools.cache
def tiny() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny").at_input_size(64).with_classes(CLASSES)


@pytest.mark.parametrize("mode", MODES)
def test_a_gradient_reaches_all_that_trains_and_nothing_else(mode: str) -> None:
    torch.manual_seed(0)
    segmenter = copy.deepcopy(tiny())
    choose(segmenter, MODES[mode])
    freeze_unasked(segmenter)
    with torch.no_grad():  # what begins as zero lets no gradient through
        for _, parameter in segmenter.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
    logits = segmenter.classify(segmenter.encode(torch.randn(2, 3, 64, 64)))
    labels = torch.randint(3, (2, *logits.shape[-2:]))
    class_losses(logits, labels, OBJECTIVE).total.sum().backward()
    reached = {name for name, values in segmenter.named_parameters() if values.grad is not None and values.grad.any()}
    trains = set(trainable_names(segmenter))
    assert reached == trains
    assert "model.mask_decoder.mask_tokens.weight" in trains
    assert ("model.prompt_encoder.no_mask_embed.weight" in trains) == (mode in ("decoder and prompts", "full"))
