"""A segmenter that answers with all that has the grey value of the pixel it is asked for, and is surer of bright ones.

Pictures of its size, 64 pixels, are not resized, so its answers are exact to the pixel. Black is background: asked
there, it answers with an empty mask. Of something dim, the candidates differ.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from adapt.prompts import Prompts
from adapt.segmenters import ImageFeatures, MaskPredictions, SegmenterSpec

SIDE = 64
BRIGHT = 150
SURE, UNSURE = 0.97, 0.9


class GreySegmenter(nn.Module):
    """Fails at the `fails_at`-th run of its encoder, as a machine that is switched off."""

    classes: tuple[str, ...] = ()

    def __init__(self, *, fails_at: int = 0) -> None:
        super().__init__()
        self.spec = SegmenterSpec(SIDE, SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), candidates=3, fit="pad")
        self.weight = nn.Parameter(torch.zeros(1))
        self.fails_at, self.encoded, self.commit = fails_at, 0, None

    def encode(self, images: Tensor) -> ImageFeatures:
        self.encoded += 1
        if self.encoded == self.fails_at:
            raise KeyboardInterrupt
        return ImageFeatures(embedding=images[:, :1].round())

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        image = features.embedding[0, 0]
        wanted = prompts.boxes[0].unflatten(1, (2, 2)).mean(1) if prompts.boxes is not None else prompts.points[0, :, 0]
        column, row = wanted.round().long().clamp(0, SIDE - 1).unbind(-1)
        values = image[row, column]
        masks = (image == values[:, None, None]) & (values > 0)[:, None, None]
        candidates = 3 if multimask else 1
        logits = (masks.float() * 20 - 10)[None, :, None].repeat(1, 1, candidates, 1, 1)
        dim = values < BRIGHT
        if multimask:
            logits[0, dim, 0, :, ::2] = -10.0  # half of it, as a candidate that nobody wants
        iou = torch.full((1, len(values), candidates), 0.1)
        iou[..., -1] = torch.where(dim, UNSURE, SURE)
        return MaskPredictions(logits=logits, iou=iou)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:  # type: ignore[override]
        yield "weight", self.weight
