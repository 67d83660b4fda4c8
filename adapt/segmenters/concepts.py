"""What a model offers that is asked for a concept: a short phrase in, all of its objects in the image out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from adapt.frames import Frame, logits_to_image_frame
from adapt.segmenters.protocol import ImageFeatures


@dataclass(frozen=True, eq=False)
class Texts:
    """P phrases as the text encoder has read them.

    Attributes:
        features: (P, L, C) float, of each word piece.
        mask: (P, L) bool; False marks padding.
    """

    features: Tensor
    mask: Tensor

    def select(self, places: Sequence[int], device: torch.device) -> "Texts":
        """K of them, on a device."""
        return Texts(self.features[list(places)].to(device), self.mask[list(places)].to(device))


@dataclass(frozen=True, eq=False)
class ConceptAnswers:
    """To K questions, each with Q candidates, by each of D layers of the detector, the last one last.

    Attributes:
        logits: (D, K, Q) float, that a candidate is an object of the concept, if the concept is there at all.
        presence: (D, K) float, logit that it is.
        boxes: (D, K, Q, 4) float, centre x, y, width and height, as shares of the sides of the model frame.
        masks: (K, Q, h, w) float logits of the whole model frame; > 0 is the object.
    """

    logits: Tensor
    presence: Tensor
    boxes: Tensor
    masks: Tensor

    @property
    def scores(self) -> Tensor:
        """(K, Q) float32 in 0..1: that of the candidate times that of the presence, by the last layer."""
        return self.logits[-1].float().sigmoid() * self.presence[-1].float().sigmoid()[:, None]

    def objects(self, question: int, *, frame: Frame, threshold: float) -> tuple[Tensor, Tensor]:
        """Of one question, the N candidates whose score is above the threshold, the best first.

        Returns:
            (N,) float32 scores, and (N, H, W) bool masks in the image frame.
        """
        scores = self.scores[question]
        order = scores.argsort(descending=True, stable=True)
        kept = order[scores[order] > threshold]
        masks = [logits_to_image_frame(self.masks[question, one].float().sigmoid(), frame) > 0.5 for one in kept]
        empty = torch.empty(0, frame.height, frame.width, dtype=torch.bool, device=scores.device)
        return scores[kept], torch.stack(masks) if masks else empty


class ConceptDetector(Protocol):
    """The part of a model that finds objects by phrases."""

    @property
    def longest(self) -> int:
        """Word pieces that a phrase can have, with the marks around them."""
        ...

    def read(self, input_ids: Tensor, attention_mask: Tensor) -> Texts:
        """What the text encoder makes of P phrases of L word pieces, (P, L) int64 each."""
        ...

    def find(self, features: ImageFeatures, texts: Texts) -> ConceptAnswers:
        """Candidates for K questions.

        Args:
            features: of K images, one a question; an image may come several times.
            texts: K phrases.
        """
        ...
