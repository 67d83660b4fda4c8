"""An entry is found only by what would give it again."""

import numpy as np
import pytest
import torch

from adapt.features import prefix_key
from adapt.features.keys import image_key
from adapt.segmenters import PromptableSegmenter, load_segmenter

STAGES = 9  # of adapt:tiny


@pytest.fixture
def tiny() -> PromptableSegmenter:
    return load_segmenter("adapt:tiny")


def _key(segmenter: PromptableSegmenter, boundary: int = 5) -> str:
    return prefix_key(segmenter, boundary=boundary, dtype="float16", precision="32-true")


def test_the_same_model_has_the_same_key(tiny: PromptableSegmenter) -> None:
    assert _key(tiny) == _key(load_segmenter("adapt:tiny"))


def test_a_weight_in_front_of_the_boundary_changes_the_key(tiny: PromptableSegmenter) -> None:
    before = _key(tiny)
    for stage in tiny.stages[:5]:
        for parameter in stage.parameters:
            kept = parameter.detach().clone()
            with torch.no_grad():
                parameter.view(-1)[-1] += 1e-3
            assert _key(tiny) != before
            with torch.no_grad():
                parameter.copy_(kept)
    assert _key(tiny) == before


def test_a_weight_behind_the_boundary_does_not(tiny: PromptableSegmenter) -> None:
    before = _key(tiny)
    with torch.no_grad():
        for stage in tiny.stages[5:]:
            for parameter in stage.parameters:
                parameter += 1
        for parameter in tiny.mask_decoder.parameters():
            parameter += 1
    assert _key(tiny) == before


def test_boundary_numbers_and_precision_change_the_key(tiny: PromptableSegmenter) -> None:
    keys = {prefix_key(tiny, boundary=b, dtype="float16", precision="32-true") for b in range(1, STAGES + 1)}
    keys.add(prefix_key(tiny, boundary=5, dtype="bfloat16", precision="32-true"))
    keys.add(prefix_key(tiny, boundary=5, dtype="float16", precision="bf16-mixed"))
    assert len(keys) == STAGES + 2


def test_the_input_size_changes_the_key_even_behind_equal_weights(tiny: PromptableSegmenter) -> None:
    assert _key(tiny.at_input_size(128)) != _key(tiny)


def test_a_setting_that_is_no_weight_changes_the_key(tiny: PromptableSegmenter) -> None:
    before = _key(tiny)
    tiny.stages[2].modules[0].attn.scale *= 2
    assert _key(tiny) != before


def test_training_mode_does_not(tiny: PromptableSegmenter) -> None:
    before = _key(tiny)
    tiny.encoder.train()
    assert _key(tiny) == before


def test_images_are_told_apart_by_pixels_and_shape() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    other = image.copy()
    other[3, 3, 2] ^= 1
    keys = [image_key(value) for value in (image, other, image.reshape(2, 8, 3), image[::-1])]
    assert len(set(keys)) == 4
    assert image_key(image[::-1]) == image_key(np.ascontiguousarray(image[::-1]))
