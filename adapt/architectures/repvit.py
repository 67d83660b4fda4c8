"""EdgeSAM (Zhou et al., 2024) and RepViT-SAM (Wang et al., 2023): SAM's decoder behind RepViT (Wang et al., 2024).

The encoder is built of convolutions: a stem to a quarter of the size, and blocks that mix within channels, then between
them. The first block of each layer behind the first one widens the map and halves it. EdgeSAM's neck reads the last two
maps, the coarser one enlarged; RepViT-SAM's last layer keeps the size, and its neck reads that alone. Both embeddings
have a sixteenth of the image's side. Their blocks differ in where the batch norms are.
"""

from typing import ClassVar

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionNeck

from adapt.architectures.convolutions import ConvNorm, FrozenBatchNorm
from adapt.architectures.promptable import PromptableModel

SQUEEZED_UNIT = 8
"""The width of a gate's hidden layer is a quarter of the map's, rounded to a multiple of this."""


@strict
class RepVitConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is not annotated
    """Of the encoder; by default EdgeSAM's, RepViT-M1.

    Attributes:
        image_size: side of the model frame, pixels.
        widths: channels of the layers.
        depths: blocks of the layers, with those that widen.
        gated: places, among all blocks, of those with a squeeze-and-excitation gate.
        fused: the neck reads the last two maps; else the last layer keeps the size, and its map is read alone.
        joint_norm: a block's two convolutions within channels and its input have one norm together; else each
            convolution has its own.
        output_channels: of the image embedding.
        num_pos_feats: frequencies of positions, half of `output_channels`.
        scale: standard deviation of fresh frequencies.
        initializer_range: standard deviation of fresh weights.
    """

    base_config_key = "vision_config"
    model_type = "adapt_repvit"

    image_size: int = 1024
    widths: list[int] | tuple[int, ...] = (48, 96, 192, 384)
    depths: list[int] | tuple[int, ...] = (3, 4, 16, 3)
    gated: list[int] | tuple[int, ...] = (0, 4, 8, 10, 12, 14, 16, 18, 20, 24)
    fused: bool = True
    joint_norm: bool = False
    output_channels: int = 256
    num_pos_feats: int = 128
    scale: float = 1.0
    initializer_range: float = 0.02

    @property
    def unit(self) -> int:
        """Pixels of the image for one of the coarsest map."""
        return 32 if self.fused else 16


class Stem(nn.Module):
    """Images (B, 3, S, S) to (B, C, S / 4, S / 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, width // 2, 3, stride=2)
        self.conv2 = ConvNorm(width // 2, width, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        grid: Tensor = self.conv2(functional.gelu(self.conv1(images)))
        return grid


class Gate(nn.Module):
    """Squeeze and excitation: each channel of a map, weighted by what the means of all channels say."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = max(SQUEEZED_UNIT, int(width / 4 + SQUEEZED_UNIT / 2) // SQUEEZED_UNIT * SQUEEZED_UNIT)
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, width, 1)

    def forward(self, grid: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        weight: Tensor = self.fc2(functional.relu(self.fc1(grid.mean((2, 3), keepdim=True))))
        return grid * weight.sigmoid()


class WithinChannels(nn.Module):
    """Two convolutions beside the input, all three added: (B, C, h, w) to the same."""

    def __init__(self, width: int, *, joint_norm: bool) -> None:
        super().__init__()
        self.wide = ConvNorm(width, width, 3, groups=width)
        self.narrow = (
            nn.Conv2d(width, width, 1, groups=width) if joint_norm else ConvNorm(width, width, 1, groups=width)
        )
        self.norm = FrozenBatchNorm(width) if joint_norm else nn.Identity()

    def forward(self, grid: Tensor) -> Tensor:
        """See the class."""
        mixed: Tensor = self.norm(self.wide(grid) + self.narrow(grid) + grid)
        return mixed


class Block(nn.Module):
    """(B, C, h, w) to the same, or wider and with half as many rows and columns."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, gated: bool, joint_norm: bool) -> None:
        super().__init__()
        widens = inputs != outputs
        self.within = (
            ConvNorm(inputs, inputs, 3, stride=stride, groups=inputs)
            if widens
            else WithinChannels(inputs, joint_norm=joint_norm)
        )
        self.gate = Gate(inputs) if gated else nn.Identity()
        self.widen = ConvNorm(inputs, outputs, 1) if widens else nn.Identity()
        self.expand = ConvNorm(outputs, 2 * outputs, 1)
        self.shrink = ConvNorm(2 * outputs, outputs, 1)

    def forward(self, grid: Tensor) -> Tensor:
        """See the class."""
        within = self.widen(self.gate(self.within(grid)))
        between: Tensor = within + self.shrink(functional.gelu(self.expand(within)))
        return between


class FusingNeck(nn.Module):
    """The last two maps, the coarser one enlarged, added: (B, C', 2 h, 2 w) and (B, C'', h, w) to (B, C, 2 h, 2 w)."""

    def __init__(self, fine: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.of_fine = nn.Conv2d(fine, outputs, 1, bias=False)
        self.of_coarse = nn.Conv2d(coarse, outputs, 1, bias=False)
        self.neck = _neck(outputs, outputs)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """See the class."""
        enlarged = functional.interpolate(self.of_coarse(coarse), scale_factor=2, mode="bicubic", align_corners=False)
        embedding: Tensor = self.neck((self.of_fine(fine) + enlarged).permute(0, 2, 3, 1))
        return embedding


class PlainNeck(nn.Module):
    """The last map alone: (B, C', h, w) to (B, C, h, w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.neck = _neck(inputs, outputs)

    def forward(self, coarse: Tensor) -> Tensor:
        """See the class."""
        embedding: Tensor = self.neck(coarse.permute(0, 2, 3, 1))
        return embedding


def _neck(inputs: int, outputs: int) -> SamVisionNeck:
    return SamVisionNeck(SamVisionConfig(hidden_size=inputs, output_channels=outputs))


class RepVit(nn.Module):
    """Images to image embeddings, as a tuple of one."""

    def __init__(self, config: RepVitConfig) -> None:
        super().__init__()
        widths, last = config.widths, len(config.widths) - 1
        self.stem = Stem(widths[0])
        entries = {sum(config.depths[:layer]): layer for layer in range(1, len(widths))}
        of_blocks = [layer for layer, depth in enumerate(config.depths) for _ in range(depth)]
        self.blocks = nn.ModuleList(
            Block(
                widths[layer - 1] if place in entries else widths[layer],
                widths[layer],
                stride=2 if config.fused or layer < last else 1,
                gated=place in config.gated,
                joint_norm=config.joint_norm,
            )
            for place, layer in enumerate(of_blocks)
        )
        self.fused, self.fine = config.fused, sum(config.depths[:-1]) - 1  # the block whose map the neck reads as well
        self.neck = (
            FusingNeck(widths[-2], widths[-1], config.output_channels)
            if config.fused
            else PlainNeck(widths[-1], config.output_channels)
        )

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(B, 3, S, S) to (B, C, S / 16, S / 16)."""
        grid, read = self.stem(images), []
        for place, block in enumerate(self.blocks):
            grid = block(grid)
            if self.fused and place == self.fine:
                read.append(grid)
        return (self.neck(*read, grid),)


_OTHERS = {"prompt_encoder_config": SamPromptEncoderConfig, "mask_decoder_config": SamMaskDecoderConfig}


class EdgeSamConfig(SamConfig):  # type: ignore[misc]
    """As SAM's, with another encoder."""

    model_type = "adapt_edge_sam"
    sub_configs_defaults: ClassVar = {**_OTHERS, "vision_config": RepVitConfig}


class RepVitSamConfig(SamConfig):  # type: ignore[misc]
    """As SAM's, with another encoder."""

    model_type = "adapt_repvit_sam"
    sub_configs_defaults: ClassVar = {**_OTHERS, "vision_config": RepVitConfig}


class EdgeSamModel(PromptableModel):
    """See the module."""

    config_class = EdgeSamConfig
    encoder_class: ClassVar = RepVit


class RepVitSamModel(PromptableModel):
    """See the module."""

    config_class = RepVitSamConfig
    encoder_class: ClassVar = RepVit
