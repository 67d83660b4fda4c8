"""Fixed classes, learnt and answered without prompts: cross-entropy plus Dice over all of them (SAMed).

Source: Customized Segment Anything Model for Medical Image Segmentation (Zhang and Liu, 2023), section 3.4.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from adapt.class_maps import IGNORED, batch_label_maps
from adapt.frames import Frame, logits_to_image_frame, nearest_pixels
from adapt.losses import soft_dice
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, PromptableSegmenter


@dataclass(frozen=True)
class ClassObjective:
    """What is minimised; see `SemanticSettings` of the recipe for the defaults.

    Attributes:
        classes: their names, in the order of the values of a label map, without the background.
        cross_entropy, dice: weights of the two terms.
        at: where they are taken: at the pixels of the predicted maps, or at those of the model frame.
    """

    classes: tuple[str, ...]
    cross_entropy: float
    dice: float
    at: Literal["mask", "image"]


@dataclass(frozen=True, eq=False)
class ClassLosses:
    """Losses of each image, all (B,) float32.

    Attributes:
        total: what is minimised.
        cross_entropy: mean over pixels.
        dice: mean over the background and all classes.
        iou: mean over the classes that the image shows; has no gradient.
    """

    total: Tensor
    cross_entropy: Tensor
    dice: Tensor
    iou: Tensor

    def logged(self) -> dict[str, Tensor]:
        """Name to values, of which an epoch's mean is written down."""
        return {
            "loss": self.total,
            "cross_entropy": self.cross_entropy.detach(),
            "dice": self.dice.detach(),
            "iou": self.iou,
        }


def batch_losses(
    segmenter: PromptableSegmenter, features: ImageFeatures, batch: Batch, objective: ClassObjective
) -> ClassLosses:
    """Losses of each image of a batch.

    Args:
        segmenter: has the objective's classes; what trains is chosen.
        features: of the batch's images.
        batch: of samples as `by_class` gives them.
        objective: see `ClassObjective`.
    """
    logits, labels = segmenter.classify(features), batch_label_maps(batch, objective.classes)
    size = labels.shape[-1]
    if objective.at == "image":
        logits = logits_to_image_frame(logits, Frame(size, size, size, "stretch"))
    else:
        rows, columns = nearest_pixels(Frame(size, size, logits.shape[-1], "stretch"))  # 4 pixels each, SAM 3 has 3.5
        labels = labels[:, rows[:, None], columns[None, :]]
    return class_losses(logits, labels, objective)


def class_losses(logits: Tensor, labels: Tensor, objective: ClassObjective) -> ClassLosses:
    """Cross-entropy and Dice of each image.

    Args:
        logits: (B, 1 + classes, h, w).
        labels: (B, h, w) int64, `IGNORED` where nothing is learnt.
        objective: see `ClassObjective`.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    learnt = labels != IGNORED
    pixels = learnt.sum((1, 2)).clamp(min=1)
    cross_entropy = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none").sum((1, 2))
    values = torch.arange(logits.shape[1], device=labels.device)[:, None, None]
    truth = labels[:, None] == values
    dice = soft_dice(logits.softmax(1) * learnt[:, None], truth).mean(1)
    with torch.no_grad():
        answer = (logits.argmax(1)[:, None] == values) & learnt[:, None]
        shared, union = ((kind[:, 1:]).sum((2, 3)) for kind in (answer & truth, answer | truth))
        shown = truth[:, 1:].flatten(2).any(2)
        ious = torch.where(shown, shared / union.clamp(min=1), 0.0).sum(1) / shown.sum(1).clamp(min=1)
    cross_entropy = cross_entropy / pixels
    total = objective.cross_entropy * cross_entropy + objective.dice * dice
    return ClassLosses(total=total, cross_entropy=cross_entropy, dice=dice, iou=ious)


def answered(logits: Tensor, frame: Frame) -> npt.NDArray[np.int64]:
    """(H, W) values of the pixels of one image: of each the class whose logit is highest there.

    Class after class, so that memory is that of a few maps, however many classes there are.

    Args:
        logits: (1 + classes, h, w), of the whole model frame.
        frame: of the image.
    """
    best = logits_to_image_frame(logits[0], frame)
    labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
    for value, of_class in enumerate(logits[1:], start=1):
        here = logits_to_image_frame(of_class, frame)
        labels[here > best] = value
        best = torch.maximum(best, here)
    found: npt.NDArray[np.int64] = labels.cpu().numpy()
    return found
