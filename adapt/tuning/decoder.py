"""Decoder-only tuning: the image encoder is frozen, the mask decoder trains."""

from adapt.segmenters import PromptableSegmenter

FREQUENCIES = "shared_embedding."
"""What the names of the Fourier frequencies in the prompt encoder begin with."""


def tune_decoder(segmenter: PromptableSegmenter, *, prompt_encoder: bool) -> None:
    """Freeze everything but the mask decoder (and, if asked, the prompt encoder's embeddings).

    The Fourier frequencies that place points stay frozen in any case: in the original they are a buffer, and
    the image's own positions are made from the same tensor.
    """
    for _, parameter in segmenter.named_parameters():
        parameter.requires_grad_(False)
    for parameter in segmenter.mask_decoder.parameters():
        parameter.requires_grad_(True)
    if prompt_encoder:
        for name, parameter in segmenter.prompt_encoder.named_parameters():
            parameter.requires_grad_(not name.startswith(FREQUENCIES))
