"""The image encoder, compiled stage by stage: blocks are alike, so that few of them are compiled, and shapes stay.

The decoder stays as it is: the number of its prompts changes from step to step, and each would be compiled anew.
"""

import torch

from adapt.errors import RecipeError
from adapt.segmenters.protocol import PromptableSegmenter


def compile_encoder(segmenter: PromptableSegmenter, device: torch.device) -> None:
    """Have each stage compiled when it first runs; names, parameters and copies of the segmenter stay as they are.

    Raises:
        RecipeError: nothing can be compiled for the device here.
    """
    _try(device)
    for stage in segmenter.stages:
        for module in stage.modules:
            module.compile()


def _try(device: torch.device) -> None:
    """Compile something small, rather than fail when the first step runs."""

    def small(values: torch.Tensor) -> torch.Tensor:
        return values.sin() + 1

    try:
        torch.compile(small)(torch.zeros(8, device=device))
    except Exception as error:  # each missing tool raises its own kind
        lines = str(error).strip().splitlines() or [""]
        raise RecipeError(
            f"trainer.compile: nothing can be compiled for {device} here ({type(error).__name__}: {lines[0]}). It "
            "needs a C++ compiler (g++, or the one that CXX names), on CUDA Triton too; install it, or set "
            "trainer.compile=false"
        ) from None
