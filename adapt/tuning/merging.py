"""From a model with inserted parts to a stock one that gives the same."""

from adapt.errors import CheckpointError
from adapt.segmenters import PromptableSegmenter
from adapt.tuning.inserted import has_inserted, peft_layers
from adapt.tuning.scale_shift import merge_scale_shift


def merge(segmenter: PromptableSegmenter) -> None:
    """Put the inserted parts into the weights of the layers that they belong to; the model is then a stock one.

    The outputs stay the same but for rounding (1e-5).

    Raises:
        CheckpointError: parts that no weights of the stock model can stand for, or weights of 4 or 8 bits.
    """
    merge_scale_shift(segmenter)
    for name, layer in peft_layers(segmenter):
        base = layer.get_base_layer()
        if not base.weight.dtype.is_floating_point:
            raise CheckpointError(
                "this run was trained on an encoder of 4 or 8 bits (tuning.encoder_bits), so that weights of full "
                "precision with its update merged into them would be another model; use the adapter as it is"
            )
        layer.merge()
        parent, _, own = name.rpartition(".")
        setattr(segmenter.model.get_submodule(parent), own, base)
    if hasattr(segmenter.model, "peft_config"):
        del segmenter.model.peft_config
    if has_inserted(segmenter):
        raise CheckpointError(
            "networks of tuning.mode adapter have activations of their own, and that of text_token reads texts, so "
            "that no weights of the stock model can stand for them; use the adapter as it is, or train in a mode that "
            "merges: lora, scale_shift, ia3"
        )
