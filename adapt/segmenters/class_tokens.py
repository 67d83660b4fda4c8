"""Fixed classes instead of prompts: a mask token for each class, on the mask decoder that the model has.

Source: SAMed (Zhang and Liu, 2023): no prompt but the default one, and a mask for each class and the background. Here
the decoder keeps its token of the single mask, which no class uses, in the first place; so the stock model gives, with
`multimask_output=True`, one map for each value of a label map, in their order.
"""

import re
from collections.abc import Sequence

from torch import Tensor
from transformers import PreTrainedModel

from adapt.recipe.semantic import BACKGROUND

ROWS = ("mask_tokens.", "iou_prediction_head.proj_out.")
"""What the names of weights of a mask decoder begin with that have a row for each mask."""
NETWORK = re.compile(r"(output_hypernetworks_mlps)\.\d+\.")
"""Of the weights of a mask's own network."""


def class_names(model: PreTrainedModel) -> tuple[str, ...]:
    """The classes of a model, without the background; none of a model that is prompted."""
    names: dict[int, str] = model.config.id2label or {}
    if names.get(0) != BACKGROUND:
        return ()
    return tuple(names[value] for value in range(1, len(names)))


def give_classes(model: PreTrainedModel, names: Sequence[str]) -> None:
    """Put tokens for the background and each class into the decoder of a promptable model, in place of its candidates.

    Each begins as the single mask's token, with its hypernetwork: what a pretrained decoder makes of objects is there
    from the first step on, and no class is preferred to another before it. The decoder is the stock one for as many
    masks.
    """
    decoder, config = model.mask_decoder, model.config
    config.mask_decoder_config.num_multimask_outputs = 1 + len(names)
    grown = type(decoder)(config.mask_decoder_config)
    weights = decoder.state_dict()
    grown.load_state_dict({name: _begun(name, weights, rows=2 + len(names)) for name in grown.state_dict()})
    model.mask_decoder = grown.to(decoder.iou_token.weight.device).train(decoder.training)
    config.id2label = dict(enumerate((BACKGROUND, *names)))
    config.label2id = {name: value for value, name in config.id2label.items()}


def _begun(name: str, weights: dict[str, Tensor], *, rows: int) -> Tensor:
    """A weight of a decoder of `rows` masks that are all as the first one of a decoder that has these weights."""
    first = weights[NETWORK.sub(r"\1.0.", name)]
    return first[:1].expand(rows, *first.shape[1:]) if name.startswith(ROWS) else first
