"""A segmenter that makes no mistake: an object is all that has the grey value of the pixel that is asked for.

Images of its size, 64 pixels, are not resized, so its answers are exact to the pixel. Black is background: asked there,
it answers with an empty mask.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from adapt.prompts import Prompts
from adapt.segmenters import ImageFeatures, MaskPredictions, SegmenterSpec

SIDE = 64


class ExactSegmenter(nn.Module):
    """Counts how often its encoder runs; fails at the `fails_at`-th time, as a machine that is switched off."""

    classes: tuple[str, ...] = ()

    def __init__(self, *, predicted_iou: float = 0.97, fails_at: int = 0) -> None:
        super().__init__()
        self.spec = SegmenterSpec(SIDE, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), candidates=3, fit="pad")
        self.weight = nn.Parameter(torch.zeros(1))
        self.predicted_iou, self.fails_at = predicted_iou, fails_at
        self.encoded, self.decoded = 0, []
        self.commit, self.family, self.stages = None, "exact", ()

    def encode(self, images: Tensor) -> ImageFeatures:
        self.encoded += 1
        if self.encoded == self.fails_at:
            raise KeyboardInterrupt
        return ImageFeatures(embedding=images[:, :1].round())

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        self.decoded.append((prompts, multimask))
        image = features.embedding[0, 0]
        wanted = prompts.boxes[0].unflatten(1, (2, 2)).mean(1) if prompts.boxes is not None else prompts.points[0, :, 0]
        column, row = wanted.round().long().clamp(0, SIDE - 1).unbind(-1)
        values = image[row, column]
        masks = (image == values[:, None, None]) & (values > 0)[:, None, None]
        candidates = 3 if multimask else 1
        logits = (masks.float() * 20 - 10)[None, :, None].expand(1, -1, candidates, -1, -1)
        iou = torch.full((1, len(values), candidates), 0.1)
        iou[..., candidates - 1] = self.predicted_iou
        return MaskPredictions(logits=logits, iou=iou)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:  # type: ignore[override]
        yield "weight", self.weight


def discs(height: int, width: int, *, count: int, seed: int, largest: float) -> npt.NDArray[np.uint8]:
    """(H, W) of discs that do not touch, each with a grey value of its own; at most 255."""
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    picture = np.zeros((height, width), dtype=np.uint8)
    value = 0
    while value < count:
        y, x, radius = random.uniform(0, height), random.uniform(0, width), random.uniform(3, largest)
        near = (rows - y) ** 2 + (columns - x) ** 2
        if not picture[near <= (radius + 2) ** 2].any() and (near <= radius**2).any():
            value += 1
            picture[near <= radius**2] = value
    return picture


def same_partition(one: npt.NDArray[np.integer], other: npt.NDArray[np.integer]) -> bool:
    """Whether two maps are equal but for the numbers of their objects."""
    pairs = np.unique(np.stack((one.ravel(), other.ravel())), axis=1).T
    return bool(len(pairs) == len(np.unique(one)) == len(np.unique(other)) and [0, 0] in pairs.tolist())
