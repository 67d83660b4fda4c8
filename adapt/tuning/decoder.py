"""Decoder-only tuning: the image encoder is frozen, the mask decoder trains, or what SAM-HQ has added to it."""

from typing import Literal

from adapt.errors import RecipeError
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.placement import freeze

FREQUENCIES = "shared_embedding."
"""What the names of the Fourier frequencies in the prompt encoder begin with."""
HIGH_QUALITY = ("hq_", "compress_vit_", "encoder_", "mask_conv", "mask_norm")
"""What the names of SAM-HQ's own layers in the mask decoder begin with: token, its MLP, and fusion of features."""


def tune_decoder(segmenter: PromptableSegmenter, *, prompt_encoder: bool, layers: Literal["all", "hq"] = "all") -> None:
    """Freeze everything but the mask decoder (and, if asked, the prompt encoder's embeddings).

    The Fourier frequencies that place points stay frozen in any case: in the original they are a buffer, and
    the image's own positions are made from the same tensor. With layers "hq", of the mask decoder only those train that
    SAM-HQ has added to SAM's (Ke et al., 2023).

    Raises:
        RecipeError: the decoder has no such layers.
    """
    freeze(segmenter, decoder=layers == "all")
    if layers == "hq":
        _train_high_quality(segmenter)
    if prompt_encoder:
        for name, parameter in segmenter.prompt_encoder.named_parameters():
            parameter.requires_grad_(not name.startswith(FREQUENCIES))


def _train_high_quality(segmenter: PromptableSegmenter) -> None:
    own = [value for name, value in segmenter.mask_decoder.named_parameters() if name.startswith(HIGH_QUALITY)]
    if not own:
        raise RecipeError(
            f"tuning.layers hq trains what SAM-HQ has added to SAM, and this is a {segmenter.family} model: set "
            "tuning.layers to all, or model.checkpoint to a SAM-HQ model (syscv-community/sam-hq-vit-base)"
        )
    for parameter in own:
        parameter.requires_grad_(True)
