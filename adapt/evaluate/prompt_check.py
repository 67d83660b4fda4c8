"""Prompt two objects of an image, and places around them, for the check of `following`; the encoder is not run."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from adapt.evaluate.following import PROMPTED, ImageFindings, moved_clicks, pairs_of
from adapt.evaluate.scoring import EncodedSample
from adapt.frames import Frame, to_model_frame
from adapt.prompts import Prompts, draw_clicks, point_prompts, uniform
from adapt.protocols import PROTOCOLS, Protocol, Truth, answers_of, truth_of
from adapt.samples import Sample, sample_key, with_objects
from adapt.segmenters import ImageFeatures, PromptableSegmenter

OBJECTS = 8
"""Of an image, at most: 28 pairs."""
CLICKS = 3
"""Drawn inside each object, and as many outside."""
PURPOSE_FOLLOWING = 2_000  # and the numbers after it, two a click


def choose_images(objects: Sequence[int], *, count: int, seed: int) -> list[int]:
    """Places of at most `count` images with two objects or more, in order.

    Args:
        objects: how many each image has.
        count: at most.
        seed: of the choice.
    """
    several = np.flatnonzero(np.asarray(objects) > 1)
    return sorted(np.random.default_rng(seed).permutation(several)[:count].tolist())


@torch.inference_mode()
def check_following(encoded: EncodedSample, models: Mapping[str, PromptableSegmenter]) -> list[ImageFindings]:
    """Prompt some objects of an image, and places around them, and compare the answers; the encoder is not run.

    Args:
        encoded: with two objects or more; of more than `OBJECTS` as many are drawn.
        models: name to segmenter, those that the sample was encoded for.
    """
    sample = _some_objects(encoded.sample)
    truth = truth_of(sample.masks, sample_key(sample.sample_id), encoded.truth.masks.device)
    surrounded = truth.pixels < np.prod(sample.masks.shape[1:])
    findings = []
    for name, model in models.items():

        def answers(how: Protocol, model: PromptableSegmenter = model, name: str = name) -> npt.NDArray[np.bool_]:
            return _answers(model, encoded.features[name], truth, how)

        moved = [
            np.stack([answers(_drawn_click(inside=side, number=number)) for number in range(CLICKS)])[:, surrounded]
            for side in (True, False)
        ]
        findings.append(
            ImageFindings(
                model=name,
                pairs={protocol: pairs_of(sample.masks, answers(PROTOCOLS[protocol])) for protocol in PROMPTED},
                clicks=moved_clicks(*moved),
            )
        )
    return findings


def _some_objects(sample: Sample) -> Sample:
    """The sample with `OBJECTS` of its objects at most; always the same ones."""
    random = np.random.default_rng(sample_key(sample.sample_id))
    return with_objects(sample, np.sort(random.permutation(len(sample.masks))[:OBJECTS]))


def _answers(model: PromptableSegmenter, features: ImageFeatures, truth: Truth, how: Protocol) -> npt.NDArray[np.bool_]:
    """(N, H, W) answers to one prompt an object."""
    return np.concatenate([found.masks for _, found in answers_of(model, features, truth, how=how, clicks=1)])


def _drawn_click(*, inside: bool, number: int) -> Protocol:
    """One click an object, drawn uniformly inside or outside it."""
    purpose = PURPOSE_FOLLOWING + 2 * number + int(inside)

    def prompts(truth: Truth, part: slice, frame: Frame) -> Prompts:
        region = truth.masks[part] if inside else ~truth.masks[part]
        points = draw_clicks(region, uniform(truth.keys[part], purpose).to(region.device))
        return point_prompts(to_model_frame(points, frame)[None], torch.ones(1, len(points), dtype=torch.bool))

    return Protocol(prompts, multimask=True)
