"""Score the label map that a model gives for each image, at full resolution."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adapt.class_maps import by_class, label_map
from adapt.evaluate.scoring import encode_samples
from adapt.features import FeatureCache
from adapt.formats import encode_masks
from adapt.metrics import Counts, class_counts, class_ious
from adapt.samples import Sample
from adapt.segmenters import ImageFeatures, PromptableSegmenter
from adapt.semantic import answered


@dataclass(frozen=True, eq=False)
class ClassScore:
    """One image.

    Attributes:
        counts: see `Counts`.
        answer: of each class the mask that was answered, run-length encoded in the image frame.
    """

    sample_id: str
    group: str
    counts: Counts
    answer: tuple[bytes, ...]

    @property
    def miou(self) -> float:
        """Mean over the classes that the truth or the answer shows, without the background."""
        return float(np.nanmean(class_ious(self.counts)[1:]))


def score_label_maps(
    samples: Iterable[Sample],
    segmenter: PromptableSegmenter,
    *,
    device: torch.device,
    features: FeatureCache | None = None,
) -> Iterator[ClassScore]:
    """Scores of each sample, as they come.

    Args:
        samples: in the image frame; their categories are classes of the segmenter.
        segmenter: has classes; on `device`, in eval mode.
        device: where it is.
        features: see `encode_samples`.
    """
    merged = (by_class(sample, segmenter.classes) for sample in samples)
    for encoded in encode_samples(merged, {"tuned": segmenter}, device=device, features=features):
        yield _score(encoded.sample, segmenter, _logits(segmenter, encoded.features["tuned"]))


@torch.inference_mode()
def _logits(segmenter: PromptableSegmenter, features: ImageFeatures) -> Tensor:
    return segmenter.classify(features)[0]


def _score(sample: Sample, segmenter: PromptableSegmenter, logits: Tensor) -> ClassScore:
    classes: Sequence[str] = segmenter.classes
    height, width = sample.image.shape[:2]
    answer = answered(logits, segmenter.spec.frame(height, width))
    masks = answer == np.arange(1, len(classes) + 1)[:, None, None]
    counts = class_counts(answer, label_map(sample, classes), classes=len(classes))
    return ClassScore(sample.sample_id, sample.group, counts, tuple(encode_masks(masks)))
