"""Which family an original file is of, by the names of its weights, and the model with the same weights."""

from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel

from adapt.errors import CheckpointError
from adapt.families import ORIGINALS
from adapt.originals import efficient_sam, repvit, tiny_vit
from adapt.originals.efficient_sam import efficient_sam_model
from adapt.originals.repvit import repvit_sam_model
from adapt.originals.sam import sam_model
from adapt.originals.tiny_vit import mobile_sam_model
from adapt.wording import listed

STATISTICS = ("pixel_mean", "pixel_std")
"""In some files; the model's specification has them."""
BY_MARK = {
    efficient_sam.MARK: efficient_sam_model,
    tiny_vit.MARK: mobile_sam_model,
    repvit.MARK: repvit_sam_model,
}
"""The name of a weight that one family alone has; a file with none of them is taken for SAM's, SAM-HQ's or MedSAM's."""


def published_model(original: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """A model with all weights of an original file, in float32 and eval mode.

    Args:
        original: name to weights, as published; the architecture is read off their names and shapes.
        source: the file, for messages.

    Raises:
        CheckpointError: the weights are of another architecture; nothing is converted partly.
    """
    weights = {name: value.float() for name, value in original.items() if name not in STATISTICS}
    convert = next((function for mark, function in BY_MARK.items() if mark in weights), sam_model)
    try:
        return convert(weights, source=source)
    except KeyError as error:
        raise CheckpointError(
            f"{source} is no original file of {ORIGINALS}: it has no {error.args[0]} under any name that these have. "
            f"It begins with {listed(list(original)[:3])}"
        ) from None
