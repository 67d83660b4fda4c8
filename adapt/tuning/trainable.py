"""What trains, by name and by part."""

from torch import nn

from adapt.segmenters import PromptableSegmenter


def trainable_names(segmenter: PromptableSegmenter) -> list[str]:
    """Names of the parameters that train, in the order of the model."""
    return [name for name, parameter in segmenter.named_parameters() if parameter.requires_grad]


def trainable_table(segmenter: PromptableSegmenter) -> list[tuple[str, int, int]]:
    """Part, trainable parameters, all parameters; one row each for encoder, prompt encoder and mask decoder."""
    parts: dict[str, nn.Module] = {
        "image encoder": segmenter.encoder,
        "prompt encoder": segmenter.prompt_encoder,
        "mask decoder": segmenter.mask_decoder,
    }
    return [
        (
            name,
            sum(p.numel() for p in part.parameters() if p.requires_grad),
            sum(p.numel() for p in part.parameters()),
        )
        for name, part in parts.items()
    ]
