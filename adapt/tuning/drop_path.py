"""Blocks of the encoder are skipped at random while they train, the later ones more often.

Source: Deep networks with stochastic depth (Huang et al., 2016), with its linear rise over the blocks. A block is
skipped as a whole, attention and MLP together.
"""

import torch
from torch import Tensor, nn

from adapt.segmenters import PromptableSegmenter

NAME = "drop_path"


class DropPath(nn.Module):
    """What a block adds to its input, for each image either dropped or scaled by 1 / (1 - rate)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, hidden: Tensor, output: Tensor) -> Tensor:
        """Input and output of the block, (B, ...), to its output; the same one when not in training.

        A block that makes the grid coarser cannot be skipped.
        """
        if not self.training or hidden.shape != output.shape:
            return output
        kept = torch.rand(len(hidden), *[1] * (hidden.ndim - 1), device=hidden.device) >= self.rate
        return hidden + kept / (1 - self.rate) * (output - hidden)


def set_drop_path(segmenter: PromptableSegmenter, rate: float) -> None:
    """Skip the last block with this chance, the first with almost none; 0 takes it out again."""
    blocks = segmenter.blocks
    for place, block in enumerate(blocks, start=1):
        if not hasattr(block.module, NAME):
            if not rate:
                continue
            block.module.register_forward_hook(dropped)
        block.module.add_module(NAME, DropPath(rate * place / len(blocks)))


def dropped(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """The output, or at random the input."""
    kept: Tensor = module.get_submodule(NAME)(inputs[0], output)
    return kept
