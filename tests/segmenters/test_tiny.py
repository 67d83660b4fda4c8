"""`adapt:tiny`: its size, and how it loads."""

import torch

from adapt.segmenters import load_segmenter
from adapt.segmenters.sam import SamSegmenter


def test_it_reads_256_pixels_with_about_4_million_parameters() -> None:
    tiny = load_segmenter("adapt:tiny")
    assert tiny.spec.image_size == 256
    assert 3.5e6 < sum(parameter.numel() for _, parameter in tiny.named_parameters()) < 5e6


def test_it_is_loaded_by_name_in_eval_mode_and_float32() -> None:
    segmenter = load_segmenter("adapt:tiny")
    assert isinstance(segmenter, SamSegmenter)
    assert not segmenter.model.training
    assert {parameter.dtype for parameter in segmenter.parameters()} == {torch.float32}
