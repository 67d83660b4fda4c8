"""From the candidates of a batch of clicks to masks as run lengths: filtered first, never held as pixels for long."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from adapt.formats import encode_part
from adapt.generate.upsampling import Upsampling
from adapt.recipe import FIT_THRESHOLDS, GenerateSettings
from adapt.wording import counted


@dataclass
class Funnel:
    """How many candidates are left behind each filter, and the best scores that were met.

    Attributes:
        candidates: of all clicks.
        expected: of these, predicted IoU high enough.
        stable: of these, stable enough and not empty.
        whole: of these, not cut by the edge of their crop.
        kept: of these, not a double of a better one.
        best_predicted_iou: of all candidates.
        best_stability: of those whose predicted IoU is high enough.
    """

    candidates: int = 0
    expected: int = 0
    stable: int = 0
    whole: int = 0
    kept: int = 0
    best_predicted_iou: float = field(default=float("-inf"))
    best_stability: float = field(default=float("-inf"))

    def __add__(self, other: "Funnel") -> "Funnel":
        """Of the candidates of two images."""
        return Funnel(
            candidates=self.candidates + other.candidates,
            expected=self.expected + other.expected,
            stable=self.stable + other.stable,
            whole=self.whole + other.whole,
            kept=self.kept + other.kept,
            best_predicted_iou=max(self.best_predicted_iou, other.best_predicted_iou),
            best_stability=max(self.best_stability, other.best_stability),
        )

    def why_nothing(self, settings: GenerateSettings) -> str:
        """Where the candidates were lost if none is kept, and which value of the recipe to change."""
        if not self.expected:
            return (
                f"no mask is kept: of {counted(self.candidates, 'candidate')} the best predicted IoU is "
                f"{self.best_predicted_iou:.3f}, not above generate.predicted_iou={settings.predicted_iou:g}; "
                f"lower it, or {FIT_THRESHOLDS}"
            )
        if not self.stable:
            return (
                f"no mask is kept: of {counted(self.expected, 'candidate')} with a predicted IoU above "
                f"{settings.predicted_iou:g} the best stability is {self.best_stability:.3f}, below "
                f"generate.stability={settings.stability:g}; lower it, or generate.predicted_iou, or {FIT_THRESHOLDS}"
            )
        return (
            f"no mask is kept: all {counted(self.stable, 'candidate')} that are good enough touch the edge of their "
            "crop; take fewer generate.crop_layers, or a smaller generate.crop_edge"
        )


@dataclass(frozen=True)
class Survivor:
    """A candidate that has passed the filters, in the frame of its crop.

    Attributes:
        place: among the candidates of its batch.
        counts: run lengths.
        box: XYXY, centres of the first and last pixels.
        area: pixels.
        predicted_iou, stability: its scores.
    """

    place: int
    counts: bytes
    box: tuple[int, int, int, int]
    area: int
    predicted_iou: float
    stability: float


def survivors(
    logits: Tensor, expected: Tensor, to_image: Upsampling, settings: GenerateSettings, funnel: Funnel
) -> list[Survivor]:
    """Candidates whose predicted IoU and stability are high enough, in their order; never an empty one.

    What is looked at in full resolution is only what the predicted IoU leaves, one after the other in each of as many
    threads as torch has.

    Args:
        logits: (K, h, w) float, the whole model frame.
        expected: (K,) predicted IoU.
        to_image: of the crop.
        settings: thresholds.
        funnel: counts along.
    """
    scores = expected.float().cpu()
    funnel.candidates += len(scores)
    funnel.best_predicted_iou = max(funnel.best_predicted_iou, float(scores.max()))
    chosen = (scores > (settings.predicted_iou or float("-inf"))).nonzero().squeeze(1)
    funnel.expected += len(chosen)
    asked = logits[chosen.to(logits.device)].float().cpu().numpy()
    workers = max(1, min(torch.get_num_threads(), len(asked)))

    def look(first: int) -> list[tuple[float, Survivor | None]]:
        own = zip(chosen[first::workers].tolist(), asked[first::workers], strict=True)
        return [_looked_at(candidate, place, float(scores[place]), to_image, settings) for place, candidate in own]

    with ThreadPoolExecutor(workers) as pool:
        shares = list(pool.map(look, range(workers)))
    looked = [shares[number % workers][number // workers] for number in range(len(asked))]
    found = [survivor for _, survivor in looked if survivor is not None]
    funnel.stable += len(found)
    funnel.best_stability = max([funnel.best_stability, *(steady for steady, _ in looked)])
    return found


def _looked_at(
    logits: npt.NDArray[np.float32], place: int, expected: float, to_image: Upsampling, settings: GenerateSettings
) -> tuple[float, Survivor | None]:
    """Stability of a candidate (h, w), and what it is if that is enough and its mask not empty."""
    part = to_image.part_above(logits, settings.mask_threshold - settings.stability_offset)
    if part is None:
        return 0.0, None
    enlarged, top, left = part
    steady = stability(enlarged, settings)
    if steady < settings.stability:
        return steady, None
    mask = np.ascontiguousarray(enlarged > settings.mask_threshold)
    first_column, first_row, wide, tall = cv2.boundingRect(mask.view(np.uint8))
    if not wide:
        return steady, None
    mask = mask[first_row : first_row + tall, first_column : first_column + wide]
    top, left = top + first_row, left + first_column
    return steady, Survivor(
        place=place,
        counts=encode_part(mask, top=top, left=left, height=to_image.height, width=to_image.width),
        box=(left, top, left + wide - 1, top + tall - 1),
        area=int(np.count_nonzero(mask)),
        predicted_iou=expected,
        stability=steady,
    )


def stability(logits: npt.NDArray[np.float32], settings: GenerateSettings) -> float:
    """IoU of a mask with its threshold moved up and down; 0 for one that is empty either way.

    Args:
        logits: of the image, or of the part of it that is above the lower threshold.
        settings: threshold and shift.
    """
    high, low = (settings.mask_threshold + shift for shift in (settings.stability_offset, -settings.stability_offset))
    outer = int(np.count_nonzero(logits > low))
    return int(np.count_nonzero(logits > high)) / max(outer, 1)
