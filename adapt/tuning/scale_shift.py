"""A learnt factor and offset a channel behind each Linear layer and layer norm of the blocks; merged without a trace.

Source: Scaling and shifting your features (SSF: Lian et al., 2022).
"""

import torch
from torch import Tensor, nn

from adapt.recipe import ScaleShiftTuning
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.inserted import put_beside, take_away
from adapt.tuning.placement import freeze, last_blocks

NAME = "scale_shift"


class ScaleShift(nn.Module):
    """(..., C) to the same; the identity before the first step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """The channels scaled, then shifted."""
        return hidden * self.scale + self.shift


def tune_scale_shift(segmenter: PromptableSegmenter, settings: ScaleShiftTuning) -> None:
    """Freeze the model, and put factors and offsets into the chosen blocks; the decoder trains if asked.

    Raises:
        RecipeError: the encoder has fewer blocks.
    """
    blocks = last_blocks(segmenter, settings.blocks)
    freeze(segmenter, decoder=settings.decoder)
    for block in blocks:
        for module in list(block.module.modules()):
            if isinstance(module, nn.Linear | nn.LayerNorm) and module.bias is not None:  # an offset needs a place
                put_beside(module, NAME, ScaleShift(module.weight.shape[0]), scaled)


def scaled(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    """The output scaled and shifted."""
    adapted: Tensor = module.get_submodule(NAME)(output)
    return adapted


@torch.no_grad()
def merge_scale_shift(segmenter: PromptableSegmenter) -> None:
    """Multiply factors and offsets into the layers, and take them out."""
    for module in list(segmenter.model.modules()):
        inserted = getattr(module, NAME, None)
        if isinstance(inserted, ScaleShift):
            assert isinstance(module, nn.Linear | nn.LayerNorm)
            rows = inserted.scale[:, None] if isinstance(module, nn.Linear) else inserted.scale
            module.weight.mul_(rows)
            module.bias.mul_(inserted.scale).add_(inserted.shift)
            take_away(module, NAME)
