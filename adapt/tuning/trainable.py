"""What trains, by name and by part."""

from torch import nn

from adapt.segmenters import PromptableSegmenter, memory_of
from adapt.tuning.inserted import INSERTED


def trainable_names(segmenter: PromptableSegmenter) -> list[str]:
    """Names of the parameters that train, in the order of the model."""
    return [name for name, parameter in segmenter.named_parameters() if parameter.requires_grad]


def trainable_table(segmenter: PromptableSegmenter) -> list[tuple[str, int, int]]:
    """Part, trainable parameters, all parameters.

    One row each for encoder, prompt encoder and mask decoder as they are in the stock model, and one behind it for
    what a mode has put into it; and one for the memory of a video model.
    """
    parts: dict[str, nn.Module] = {
        "image encoder": segmenter.encoder,
        "prompt encoder": segmenter.prompt_encoder,
        "mask decoder": segmenter.mask_decoder,
    }
    rows = []
    for title, part in parts.items():
        stock = [parameter for name, parameter in part.named_parameters() if not INSERTED.search(name)]
        inserted = [parameter for name, parameter in part.named_parameters() if INSERTED.search(name)]
        rows.append(_row(title, stock))
        if inserted:
            rows.append(_row(f"inserted in {title}", inserted))
    memory = memory_of(segmenter)
    return rows if memory is None else [*rows, _row("memory", list(memory.parameters))]


def _row(title: str, parameters: list[nn.Parameter]) -> tuple[str, int, int]:
    trains = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return title, trains, sum(parameter.numel() for parameter in parameters)
