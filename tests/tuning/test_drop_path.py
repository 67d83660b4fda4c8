"""Blocks that are skipped at random: only in training, more often behind, and right in the mean."""

import pytest
import torch

from adapt.recipe import DecoderTuning, FullTuning
from adapt.segmenters import load_segmenter
from adapt.tuning import choose
from adapt.tuning.drop_path import DropPath


def test_a_block_is_dropped_for_whole_images_as_often_as_asked_and_right_in_the_mean() -> None:
    torch.manual_seed(0)
    path = DropPath(0.25).train()
    hidden, output = torch.ones(4000, 2, 2, 3), torch.full((4000, 2, 2, 3), 4.0)
    found = path(hidden, output)
    assert (found == found[:, :1, :1, :1]).all()
    dropped = (found[:, 0, 0, 0] == 1).float().mean()
    assert float(dropped) == pytest.approx(0.25, abs=0.03)
    assert float(found.mean()) == pytest.approx(4.0, abs=0.1)


def test_evaluation_never_drops() -> None:
    hidden, output = torch.zeros(8, 2), torch.ones(8, 2)
    assert DropPath(0.9).eval()(hidden, output) is output


def test_the_rate_rises_to_the_last_block_and_tuning_again_sets_it_anew() -> None:
    segmenter = load_segmenter("adapt:tiny")
    for last in (0.35, 0.7, 0.0):
        choose(segmenter, FullTuning(drop_path=last))
        blocks = [block.module for block in segmenter.blocks]
        if last == 0.35:
            assert [len(block._forward_hooks) for block in blocks] == [1] * 7
        rates = [block.get_submodule("drop_path").rate for block in blocks]
        assert rates == pytest.approx([last * place / 7 for place in range(1, 8)])
    assert [len(block._forward_hooks) for block in blocks] == [1] * 7


def test_a_later_stage_that_trains_the_decoder_does_not_drop_blocks_of_its_frozen_encoder() -> None:
    segmenter = load_segmenter("adapt:tiny")
    choose(segmenter, FullTuning(drop_path=0.9))
    choose(segmenter, DecoderTuning())
    segmenter.encoder.eval()
    images = torch.randn(1, 3, 256, 256)
    with torch.no_grad():
        embedding = segmenter.encode(images).embedding
        assert torch.equal(embedding, load_segmenter("adapt:tiny").encode(images).embedding)
