"""Small networks in the encoder's blocks, which stay frozen themselves. Each begins as the identity, to the last bit.

Sources: Medical SAM Adapter (Wu et al., 2023), SAM-Med2D (Cheng et al., 2023), AdaptFormer (Chen et al., 2022).

Unlike in the first two's public code, what an adapter adds begins at zero; the last activation and the last norm of
SAM-Med2D's, which would keep it from that, are left out, and its convolutions have a width.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from adapt.recipe import AdapterTuning
from adapt.segmenters import EncoderBlock, PromptableSegmenter
from adapt.tuning.inserted import put_beside
from adapt.tuning.placement import freeze, last_blocks

NAME = "adapter"
BESIDE_MLP = {"medical_sam": 0.5, "adaptformer": 0.1}
"""How much the bottleneck beside the MLP counts, as in the papers."""


class Bottleneck(nn.Module):
    """Down to a few channels, and up again: (..., C) to (..., C), zero before the first step."""

    def __init__(self, channels: int, width: int, *, activation: nn.Module, scale: float) -> None:
        super().__init__()
        self.down, self.activation, self.up = nn.Linear(channels, width), activation, nn.Linear(width, channels)
        self.scale = scale
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.down.bias)
        make_neutral(self)

    def forward(self, hidden: Tensor) -> Tensor:
        """What is to be added."""
        update: Tensor = self.scale * self.up(self.activation(self.down(hidden)))
        return update


class ChannelAndSpace(nn.Module):
    """Weighs channels by their mean, and adds what a coarser grid shows: (B, h, w, C) to the same."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, width, bias=False)
        self.excite = nn.Linear(width, channels, bias=False)
        self.shrink = nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1, bias=False)
        make_neutral(self)

    def forward(self, hidden: Tensor) -> Tensor:
        """The adapted values, of any height and width."""
        mean = hidden.mean((1, 2), keepdim=True)
        weight = 2 * torch.sigmoid(self.excite(functional.relu(self.squeeze(mean))))  # 1 in the beginning
        weighed = hidden * weight
        coarse = self.up(functional.relu(self.shrink(weighed.permute(0, 3, 1, 2))))
        height, width = hidden.shape[1:3]
        added: Tensor = coarse[..., :height, :width].permute(0, 2, 3, 1)
        return weighed + added


@torch.no_grad()
def make_neutral(adapter: nn.Module) -> None:
    """Set to zero what an adapter ends in, so that it changes nothing."""
    for name, parameter in adapter.named_parameters():
        if name.split(".")[0] in ("up", "excite"):
            parameter.zero_()


def neutral(segmenter: PromptableSegmenter) -> None:
    """Make every adapter of a segmenter change nothing."""
    for module in segmenter.modules():
        if isinstance(module, Bottleneck | ChannelAndSpace):
            make_neutral(module)


def tune_adapter(segmenter: PromptableSegmenter, settings: AdapterTuning) -> None:
    """Freeze the model, and put adapters into the chosen blocks; the decoder trains if asked.

    Raises:
        RecipeError: the encoder has fewer blocks.
    """
    blocks = last_blocks(segmenter, settings.blocks)
    freeze(segmenter, decoder=settings.decoder)
    for block in blocks:
        _insert(block, settings)


def _insert(block: EncoderBlock, settings: AdapterTuning) -> None:
    channels, width = block.channels, settings.width
    if settings.kind == "sam_med2d":
        block.mlp.add_module(NAME, ChannelAndSpace(channels, width))
        block.mlp.register_forward_pre_hook(in_front)
        return
    activation = nn.ReLU() if settings.kind == "adaptformer" else nn.GELU()
    beside = Bottleneck(channels, width, activation=activation, scale=BESIDE_MLP[settings.kind])
    put_beside(block.mlp, NAME, beside, in_parallel)
    if settings.kind == "medical_sam":
        behind_attention = Bottleneck(channels, width, activation=nn.GELU(), scale=1.0)
        put_beside(block.attention, NAME, behind_attention, behind)


def in_front(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The module reads what its adapter makes of the first input."""
    return (module.get_submodule(NAME)(inputs[0]), *inputs[1:])


def in_parallel(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """What the adapter makes of the input is added to the output."""
    update: Tensor = module.get_submodule(NAME)(inputs[0])
    return output + update


def behind(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """What the adapter makes of the output, or of its first value, is added to it."""
    if isinstance(output, tuple):
        return (output[0] + module.get_submodule(NAME)(output[0]), *output[1:])
    update: Tensor = module.get_submodule(NAME)(output)
    return output + update
