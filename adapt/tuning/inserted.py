"""What modes put into a model: by peft around Linear layers, and as modules behind or beside those of the blocks."""

import re
from collections.abc import Callable

from peft import PeftConfig, PeftType
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.tuners.oft.layer import OFTLayer, OFTRotationModule
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from adapt.segmenters import PromptableSegmenter

ADAPTER = "default"
"""The name that peft gives an adapter which has none."""

BESIDE = ("adapter", "scale_shift", "text_token")
"""The names under which our own modules stand in those that they belong to."""

INSERTED = re.compile(rf"(?:^|\.)(lora_|ia3_|hada_|oft_|vera_|({'|'.join(BESIDE)})\.)")
"""What the name of an inserted parameter has in it."""


class RowsRotation(OFTRotationModule):
    """OFT's rotation as peft 0.21 has it, but for (B, h, w, C), which peft takes for the input of a convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same."""
        rotated: Tensor = super().forward(x.flatten(0, -2))  # type: ignore[no-untyped-call]
        return rotated.reshape(x.shape)


def insert_by_peft(segmenter: PromptableSegmenter, config: PeftConfig) -> None:
    """Wrap the layers that a configuration names; what trains else is left as it is.

    Not `peft.inject_adapter_in_model`, which refuses the methods that share matrices between layers.
    """
    trains = [parameter for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
    assert isinstance(config.peft_type, PeftType)
    # peft asks what reads the input, and EdgeTamModel alone does not say
    segmenter.model._input_embed_layer = "vision_encoder"  # type: ignore[assignment]
    PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type](segmenter.model, config, ADAPTER)
    for parameter in trains:
        parameter.requires_grad_(True)
    for _, layer in peft_layers(segmenter):
        if isinstance(layer, OFTLayer):
            layer.oft_R[ADAPTER].__class__ = RowsRotation


def put_beside(module: nn.Module, name: str, inserted: nn.Module, hook: Callable[..., object]) -> None:
    """Let a module call one of its own, so that the names of all stock parameters stay.

    Args:
        module: the stock one.
        name: of `BESIDE`.
        inserted: what is called; becomes `module.<name>`.
        hook: a function of a module of this package (copies of the model share it) with the module, its inputs and
            its output; gives the new output. Finds the inserted part in the module, so that a copy finds its own.
    """
    module.add_module(name, inserted)
    module.register_forward_hook(hook)


def take_away(module: nn.Module, name: str) -> None:
    """Undo `put_beside`; the only forward hooks of a model are those."""
    delattr(module, name)
    module._forward_hooks.clear()


def peft_layers(segmenter: PromptableSegmenter) -> list[tuple[str, BaseTunerLayer]]:
    """Name and module of each layer that peft has wrapped."""
    return [(name, module) for name, module in segmenter.model.named_modules() if isinstance(module, BaseTunerLayer)]


def has_inserted(segmenter: PromptableSegmenter) -> bool:
    """Whether anything has been put into the model."""
    return any(INSERTED.search(name) for name, _ in segmenter.named_parameters())
