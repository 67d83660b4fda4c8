"""A frozen encoder in 4 or 8 bits, by bitsandbytes.

Sources: LLM.int8() (Dettmers et al., 2022), QLoRA (Dettmers et al., 2023).
"""

from typing import Any, Literal

import torch
from torch import nn

from adapt.errors import RecipeError
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.placement import linear_of


def quantise(segmenter: PromptableSegmenter, *, bits: Literal[4, 8]) -> None:
    """Replace the Linear layers of the encoder's blocks by quantised ones, which cannot train.

    They are quantised when the model is moved to the GPU.

    Raises:
        RecipeError: bitsandbytes or CUDA is not there.
    """
    layers = _quantised_layers()
    for site in segmenter.linears:
        if site.stage is not None:
            layer = linear_of(segmenter, site)
            parent, _, name = site.name.rpartition(".")
            setattr(segmenter.model.get_submodule(parent), name, _quantised(layers, layer, bits=bits))


def _quantised_layers() -> Any:  # noqa: ANN401 - an optional module without types
    if not torch.cuda.is_available():
        raise RecipeError("tuning.encoder_bits needs a CUDA GPU, and none is there; set it to null")
    try:
        import bitsandbytes  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise RecipeError(
            f"tuning.encoder_bits needs bitsandbytes ({error}); pip install 'adapt-sam[quantised]', or set it to null"
        ) from None
    return bitsandbytes.nn


def _quantised(layers: Any, layer: nn.Linear, *, bits: Literal[4, 8]) -> nn.Module:  # noqa: ANN401 - as above
    bias = layer.bias is not None
    if bits == 8:
        replacement = layers.Linear8bitLt(layer.in_features, layer.out_features, bias=bias, has_fp16_weights=False)
    else:
        replacement = layers.Linear4bit(layer.in_features, layer.out_features, bias=bias, quant_type="nf4")
    replacement.load_state_dict(layer.state_dict())
    quantised: nn.Module = replacement.requires_grad_(False)
    return quantised
