"""A segmenter that follows a script: after its n-th click an object is found to a known share, so NoC is known.

The image is the model frame. Object k is a block of 10 x 10 pixels; the answer to n clicks has `SCRIPT[k][n - 1]` of
its ten columns and nothing else, so that the IoU after each click is that share.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adapt.evaluate import Measures, score_samples, summarise
from adapt.evaluate.results import ModelFigures
from adapt.prompts import Prompts
from adapt.samples import Sample
from adapt.segmenters import EncoderStage, Hidden, ImageFeatures, MaskPredictions, SegmenterSpec

SIZE, BLOCK = 64, 10
SCRIPT = [
    [3, 6, 9, 10, 10, 10],  # 0.85 and 0.9 after 3
    [10, 10, 10, 10, 10, 10],  # after 1
    [0, 2, 4, 6, 8, 8],  # never; missed by the first click
    [5, 9, 2, 2, 2, 2],  # after 2, though it falls again
]


class Scripted(nn.Module):
    """Looks up whose block the first click lies in, and counts the clicks."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = SegmenterSpec(
            image_size=SIZE, mask_size=SIZE, pixel_mean=(0.0,) * 3, pixel_std=(1.0,) * 3, candidates=3, fit="pad"
        )
        self.encoder = self.prompt_encoder = self.mask_decoder = nn.Identity()
        self.commit = None

    def encode(self, images: torch.Tensor) -> ImageFeatures:
        return ImageFeatures(embedding=images)

    @property
    def stages(self) -> tuple[EncoderStage, ...]:
        return (EncoderStage(lambda hidden: (self.encode(*hidden).embedding,), (self.encoder,), ((3, SIZE, SIZE),)),)

    def encode_prefix(self, images: torch.Tensor, *, boundary: int) -> Hidden:
        return self.stages[0].run((images,))

    def encode_suffix(self, hidden: Hidden, *, boundary: int) -> ImageFeatures:
        return ImageFeatures(embedding=hidden[0])

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        assert prompts.points is not None
        count = prompts.points.shape[2]
        logits = torch.full((1, prompts.points.shape[1], 3 if multimask else 1, SIZE, SIZE), -10.0)
        for place, first in enumerate(prompts.points[0, :, 0]):
            block = int(first[0]) // 16
            found = SCRIPT[block][count - 1]
            logits[0, place, :, 4 : 4 + BLOCK, 16 * block : 16 * block + found] = 10.0
        return MaskPredictions(logits=logits, iou=torch.full(logits.shape[:3], 0.5))

    def save(self, folder: Path) -> None:
        raise AssertionError("an evaluation saves no model")


def _sample() -> Sample:
    masks = np.zeros((len(SCRIPT), SIZE, SIZE), dtype=bool)
    for block, mask in enumerate(masks):
        mask[4 : 4 + BLOCK, 16 * block : 16 * block + BLOCK] = True
    return Sample(
        image=np.zeros((SIZE, SIZE, 3), dtype=np.uint8),
        masks=masks,
        categories=("block",) * len(SCRIPT),
        group="g",
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id="s",
        source="",
    )


def _figures(clicks: int) -> ModelFigures:
    measures = Measures(clicks=clicks, tolerance=None)
    (scores,) = score_samples(
        [_sample()], {"base": Scripted()}, protocols=["clicks"], measures=measures, device=torch.device("cpu")
    )
    assert [score.curve for score in scores] == [tuple(n / 10 for n in row[:clicks]) for row in SCRIPT]
    return summarise(scores, bootstrap_samples=100, seed=0).protocols["clicks"].base


def test_the_number_of_clicks_is_that_of_the_script() -> None:
    found = _figures(6).clicks
    assert found is not None
    assert (found.noc85, found.noc90) == ((3 + 1 + 6 + 2) / 4, (3 + 1 + 6 + 2) / 4)
    assert (found.never85, found.never90) == (0.25, 0.25)
    assert found.curve == pytest.approx([0.45, 0.675, 0.625, 0.7, 0.75, 0.75])


def test_a_lower_cap_counts_less_for_who_never_gets_there() -> None:
    found = _figures(2).clicks
    assert found is not None
    assert found.noc85 == (2 + 1 + 2 + 2) / 4
    assert found.never85 == 0.5


def test_answers_are_those_after_the_last_click() -> None:
    figures = _figures(6)
    assert figures.miou == pytest.approx((1 + 1 + 0.8 + 0.2) / 4)
    assert figures.missed == 0
    assert _figures(1).missed == 1


def test_each_click_that_was_given_is_kept_in_the_image_frame() -> None:
    measures = Measures(clicks=3, tolerance=None)
    (scores,) = score_samples(
        [_sample()], {"base": Scripted()}, protocols=["clicks"], measures=measures, device=torch.device("cpu")
    )
    for block, score in enumerate(scores):
        assert len(score.clicks) == 3
        assert all(label == 1 for *_, label in score.clicks)  # nothing is ever spilled
        assert all(16 * block <= x < 16 * block + BLOCK and 4 <= y < 4 + BLOCK for x, y, _ in score.clicks)
        assert score.box is None
    x, _, _ = scores[0].clicks[1]
    assert x >= 3  # where the first answer is wrong
