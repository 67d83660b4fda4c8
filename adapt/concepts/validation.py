"""How well a detector answers: the IoU of each object with what was found of it, and 0 for what was found too much."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.concepts.questions import ConceptObjective, questions_of
from adapt.frames import Frame
from adapt.losses import resize_targets
from adapt.metrics import Overlaps, paired_ious
from adapt.samples import Batch
from adapt.segmenters import ConceptDetector, ImageFeatures

FIRST = 0
"""The epoch whose questions are asked, so that each validation asks the same."""


def found_ious(masks: Tensor, truth: Tensor) -> list[float]:
    """See `paired_ious`.

    Args:
        masks: (N, H, W) bool, answers.
        truth: (M, H, W) bool; none of an absent concept.
    """
    ours, true = (values.flatten(1).float() for values in (masks, truth))
    shared = ours @ true.T
    ious = (shared / (ours.sum(1)[:, None] + true.sum(1)[None] - shared).clamp(min=1)).cpu().numpy()
    return paired_ious(Overlaps(len(masks), len(truth), np.argwhere(ious > 0), ious[ious > 0]))


def validated(
    detector: ConceptDetector, features: ImageFeatures, batch: Batch, objective: ConceptObjective
) -> Iterator[tuple[int, npt.NDArray[np.float64], list[str]]]:
    """Each image of a batch, the IoUs of `found_ious` over all that it is asked, and the category of each.

    Images are asked one by one; masks are compared at the size at which the model predicts them.
    """
    questions = questions_of(batch, objective, epoch=FIRST)
    for image in range(len(batch.sample_keys)):
        own = [question for question in questions if question.image == image]
        device = features.embedding.device
        texts = objective.vocabulary.texts.select([question.name for question in own], device)
        answers = detector.find(features.select(torch.full((len(own),), image, device=device)), texts)
        ious: list[float] = []
        categories: list[str] = []
        side = answers.masks.shape[-1]
        for place, question in enumerate(own):
            _, masks = answers.objects(place, frame=Frame(side, side, side, "stretch"), threshold=objective.threshold)
            truth = resize_targets(batch.masks[image, list(question.objects)][None], side)[0]
            found = found_ious(masks, truth)
            ious += found
            categories += [objective.vocabulary.names[question.name]] * len(found)
        yield image, np.array(ious), categories
