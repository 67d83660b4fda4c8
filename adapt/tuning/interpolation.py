"""Between the untouched and the tuned model: weights mixed by a share, so that less is forgotten.

Source: Robust fine-tuning of zero-shot models (WiSE-FT: Wortsman et al., 2022): a mean of the weights of two models, of
which one was trained from the other, can keep most of what each can do.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from adapt.errors import CheckpointError
from adapt.segmenters import PromptableSegmenter


def interpolate(base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Mix of the weights that differ: (1 - alpha) * base + alpha * tuned; at 0 and 1 one of them to the last bit.

    Args:
        base: name to weights.
        tuned: likewise, of the same architecture.
        alpha: share of the tuned weights, 0 to 1.

    Raises:
        CheckpointError: names or shapes differ.
        ValueError: alpha is outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"the share of the tuned weights must lie in 0 to 1, is {alpha}")
    wrong = sorted(base.keys() ^ tuned.keys())
    wrong += [name for name in base.keys() & tuned.keys() if base[name].shape != tuned[name].shape]
    if wrong:
        raise CheckpointError(
            f"the models are of different architectures, and cannot be mixed: {', '.join(wrong[:8])} differ; "
            "set model.checkpoint to the one that the run was tuned from"
        )
    differing = [name for name in base if not torch.equal(base[name], tuned[name])]
    if alpha in (0, 1):
        return {name: (tuned if alpha else base)[name].clone() for name in differing}
    return {name: torch.lerp(base[name], tuned[name], alpha) for name in differing}


@torch.no_grad()
def mixed(base: PromptableSegmenter, tuned: PromptableSegmenter, alpha: float) -> PromptableSegmenter:
    """A segmenter with mixed weights, in eval mode; it shares the encoder of `base` where tuning has not changed it.

    Args:
        base: the untouched one.
        tuned: the tuned one.
        alpha: share of the tuned weights, 0 to 1.
    """
    weights = interpolate(dict(base.named_parameters()), dict(tuned.named_parameters()), alpha)
    encoder = {id(parameter) for parameter in base.encoder.parameters()}
    changed = any(id(parameter) in encoder for name, parameter in base.named_parameters() if name in weights)
    mix = copy.deepcopy(base, {} if changed else {id(base.encoder): base.encoder})
    for name, parameter in mix.named_parameters():
        if name in weights:
            parameter.copy_(weights[name])
    mix.eval()
    return mix
