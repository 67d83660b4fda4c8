"""Layer norms and biases of the encoder train, what they act on is frozen.

Sources: BitFit (Ben Zaken et al., 2022); for layer norms, Zhao et al. (2024), Tuning LayerNorm in Attention.
"""

from torch import nn

from adapt.errors import RecipeError
from adapt.recipe import NormTuning
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.placement import freeze, last_blocks


def tune_norms(segmenter: PromptableSegmenter, settings: NormTuning) -> None:
    """Train norms, biases, or both, of the last blocks and of the neck behind them; the decoder if asked.

    Raises:
        RecipeError: neither is to train, or the encoder has fewer blocks.
    """
    if not settings.norms and not settings.biases:
        raise RecipeError(
            "tuning.norms and tuning.biases are both false, so that nothing of the encoder would train; set one of "
            "them to true, or tuning.mode to decoder"
        )
    first = last_blocks(segmenter, settings.blocks)[0].stage
    freeze(segmenter, decoder=settings.decoder)
    for stage in segmenter.stages[first:]:
        for module in (inner for outer in stage.modules for inner in outer.modules()):
            is_norm = isinstance(module, nn.LayerNorm)
            for name, parameter in module.named_parameters(recurse=False):
                if settings.norms if is_norm else settings.biases and name == "bias":
                    parameter.requires_grad_(True)
