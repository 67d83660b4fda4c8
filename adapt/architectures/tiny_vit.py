"""MobileSAM (Zhang et al., 2023) and TinySAM (Shu et al., 2023): SAM's decoder behind TinyViT (Wu et al., 2022).

The encoder: a stem of convolutions to a quarter of the size, a layer of inverted bottlenecks, and three layers of
blocks that attend in windows. Between layers a merging of pixels widens the map, and halves it but for the last time:
the image embedding has a sixteenth of the image's side. Everything between the stem and the neck is (B, h, w, C).
"""

import itertools
from typing import ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig
from transformers import initialization as init
from transformers.models.sam.modeling_sam import SamVisionNeck

from adapt.architectures.convolutions import ConvNorm
from adapt.architectures.promptable import PromptableModel


@strict
class TinyVitConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is not annotated
    """Of the encoder.

    Attributes:
        image_size: side of the model frame, pixels.
        widths: channels of the layers; the first is the one of convolutions.
        depths: blocks of the layers.
        heads: of the attention, in the layers behind the first.
        windows: side of what a block attends to, in the layers behind the first.
        mlp_ratio: width of the hidden layer of a block's MLP, as a multiple of the block's.
        expansion: the same of the inverted bottlenecks.
        output_channels: of the image embedding.
        num_pos_feats: frequencies of positions, half of `output_channels`.
        scale: standard deviation of fresh frequencies.
        initializer_range: standard deviation of fresh weights.
    """

    base_config_key = "vision_config"
    model_type = "adapt_tiny_vit"

    image_size: int = 1024
    widths: list[int] | tuple[int, ...] = (64, 128, 160, 320)
    depths: list[int] | tuple[int, ...] = (2, 2, 6, 2)
    heads: list[int] | tuple[int, ...] = (4, 5, 10)
    windows: list[int] | tuple[int, ...] = (7, 14, 7)
    mlp_ratio: float = 4.0
    expansion: float = 4.0
    output_channels: int = 256
    num_pos_feats: int = 128
    scale: float = 1.0
    initializer_range: float = 0.02


class Stem(nn.Module):
    """Images (B, 3, S, S) to (B, S / 4, S / 4, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, width // 2, 3, stride=2)
        self.conv2 = ConvNorm(width // 2, width, 3, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        grid: Tensor = self.conv2(functional.gelu(self.conv1(images)))
        return grid.permute(0, 2, 3, 1).contiguous()  # so all behind it reads the same memory as from a cache


class Bottleneck(nn.Module):
    """Widened, mixed within channels, narrowed, added: (B, h, w, C) to the same."""

    def __init__(self, width: int, expansion: float) -> None:
        super().__init__()
        hidden = int(width * expansion)
        self.conv1 = ConvNorm(width, hidden, 1)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        grid = tokens.permute(0, 3, 1, 2)
        mixed = functional.gelu(self.conv2(functional.gelu(self.conv1(grid))))
        return functional.gelu(grid + self.conv3(mixed)).permute(0, 2, 3, 1)


class Merging(nn.Module):
    """(B, h, w, C) to (B, h / stride, w / stride, C')."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        grid = functional.gelu(self.conv1(tokens.permute(0, 3, 1, 2)))
        merged: Tensor = self.conv3(functional.gelu(self.conv2(grid)))
        return merged.permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Attention inside a window, biased by how far apart two pixels are: (windows, s, s, C) to the same.

    The bias of a head is one number for each distance in rows and in columns, whatever the direction.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.distance_bias = nn.Parameter(torch.zeros(heads, window**2))

    def forward(self, windows: Tensor) -> Tensor:
        """See the class."""
        tokens = windows.flatten(1, 2)
        query, key, value = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=self._bias().to(query.dtype))
        attended: Tensor = self.proj(seen.transpose(1, 2).flatten(2))
        return attended.reshape(windows.shape)

    def _bias(self) -> Tensor:
        """(heads, s s, s s)."""
        place = torch.arange(self.window**2, device=self.distance_bias.device)
        rows, columns = place // self.window, place % self.window
        apart = (rows[:, None] - rows).abs() * self.window + (columns[:, None] - columns).abs()
        return self.distance_bias[:, apart]


class Mlp(nn.Module):
    """(B, h, w, C) to the same."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, int(width * ratio))
        self.lin2 = nn.Linear(int(width * ratio), width)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        mapped: Tensor = self.lin2(functional.gelu(self.lin1(tokens)))
        return mapped


class Block(nn.Module):
    """Attention in windows, a convolution within channels, an MLP: (B, h, w, C) to the same."""

    def __init__(self, width: int, heads: int, window: int, mlp_ratio: float) -> None:
        super().__init__()
        self.window = window
        self.layer_norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.layer_norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        tokens = tokens + self._attended(tokens)
        tokens = self.local_conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mapped: Tensor = tokens + self.mlp(self.layer_norm2(tokens))
        return mapped

    def _attended(self, tokens: Tensor) -> Tensor:
        """Zeros fill the windows at the border; they are attended to, behind the norm, as its authors have it."""
        (batch, height, width, _), side = tokens.shape, self.window
        filled = functional.pad(tokens, (0, 0, 0, -width % side, 0, -height % side))
        rows, columns = filled.shape[1] // side, filled.shape[2] // side
        windows = filled.unflatten(2, (columns, side)).unflatten(1, (rows, side)).transpose(2, 3).flatten(0, 2)
        attended = self.attn(self.layer_norm1(windows))
        back: Tensor = attended.unflatten(0, (batch, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        return back[:, :height, :width]


class TinyVit(nn.Module):
    """Images to image embeddings, as a tuple of one.

    `layers` are the blocks of all layers, one after the other; `merges[n]` is behind the n-th layer.
    """

    def __init__(self, config: TinyVitConfig) -> None:
        super().__init__()
        first, *further = config.widths
        self.stem = Stem(first)
        self.bottlenecks = nn.ModuleList(Bottleneck(first, config.expansion) for _ in range(config.depths[0]))
        self.merges = nn.ModuleList(
            Merging(inputs, outputs, stride=1 if place == len(further) - 1 else 2)
            for place, (inputs, outputs) in enumerate(itertools.pairwise(config.widths))
        )
        self.layers = nn.ModuleList(
            Block(width, heads, window, config.mlp_ratio)
            for width, heads, window, depth in zip(
                further, config.heads, config.windows, config.depths[1:], strict=True
            )
            for _ in range(depth)
        )
        self._merged = list(itertools.accumulate(config.depths[1:-1]))  # blocks in front of each further merging
        self.neck = SamVisionNeck(
            SamVisionConfig(hidden_size=config.widths[-1], output_channels=config.output_channels)
        )

    def parts(self) -> list[tuple[nn.Module, ...]]:
        """What runs one after the other: all before the blocks; each block with the merging behind it; the neck."""
        behind = dict(zip(self._merged, self.merges[1:], strict=True))
        blocks = [
            (layer, behind[place]) if place in behind else (layer,) for place, layer in enumerate(self.layers, start=1)
        ]
        return [(self.stem, *self.bottlenecks, self.merges[0]), *blocks, (self.neck,)]

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(B, 3, S, S) to (B, C, S / 16, S / 16)."""
        hidden = images
        for module in itertools.chain.from_iterable(self.parts()):
            hidden = module(hidden)
        return (hidden,)


class MobileSamConfig(SamConfig):  # type: ignore[misc]
    """As SAM's, with another encoder."""

    model_type = "adapt_mobile_sam"
    sub_configs_defaults: ClassVar = {
        "prompt_encoder_config": SamPromptEncoderConfig,
        "mask_decoder_config": SamMaskDecoderConfig,
        "vision_config": TinyVitConfig,
    }


class MobileSamModel(PromptableModel):
    """See the module."""

    config_class = MobileSamConfig
    encoder_class: ClassVar = TinyVit

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, WindowAttention):
            init.zeros_(module.distance_bias)
