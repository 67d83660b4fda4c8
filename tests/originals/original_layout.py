"""Names and shapes of the weights of Segment Anything as its authors publish them, for any sizes, with random values.

Written down from the published definition of the modules, independently of the rules of the conversion.
"""

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]


def linear(name: str, outputs: int, *inputs: int) -> Shapes:
    """A Linear layer or a convolution."""
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def up(name: str, inputs: int, outputs: int) -> Shapes:
    """A transposed convolution of 2 x 2 pixels."""
    return {f"{name}.weight": (inputs, outputs, 2, 2), f"{name}.bias": (outputs,)}


def norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _mlp(name: str, inputs: int, hidden: int, outputs: int) -> Shapes:
    sizes = [(hidden, inputs), (hidden, hidden), (outputs, hidden)]
    return {
        key: shape for place, size in enumerate(sizes) for key, shape in linear(f"{name}.layers.{place}", *size).items()
    }


def attention(name: str, channels: int, inside: int) -> Shapes:
    inputs = {key: value for part in "qkv" for key, value in linear(f"{name}.{part}_proj", inside, channels).items()}
    return inputs | linear(f"{name}.out_proj", channels, inside)


def image_encoder(*, channels: int, heads: int, sides: list[int], grid: int, patch: int, output: int) -> Shapes:
    """`sides` are those of the windows of each block."""
    found: Shapes = {"image_encoder.pos_embed": (1, grid, grid, channels)}
    found |= linear("image_encoder.patch_embed.proj", channels, 3, patch, patch)
    for place, side in enumerate(sides):
        name = f"image_encoder.blocks.{place}"
        found |= norm(f"{name}.norm1", channels) | norm(f"{name}.norm2", channels)
        found |= linear(f"{name}.attn.qkv", 3 * channels, channels) | linear(f"{name}.attn.proj", channels, channels)
        found |= {f"{name}.attn.rel_pos_{axis}": (2 * side - 1, channels // heads) for axis in "hw"}
        found |= linear(f"{name}.mlp.lin1", 4 * channels, channels) | linear(f"{name}.mlp.lin2", channels, 4 * channels)
    found |= {
        "image_encoder.neck.0.weight": (output, channels, 1, 1),
        "image_encoder.neck.2.weight": (output, output, 3, 3),
    }
    return found | norm("image_encoder.neck.1", output) | norm("image_encoder.neck.3", output)


def prompt_encoder(*, width: int, mask_channels: int) -> Shapes:
    name, few = "prompt_encoder", mask_channels // 4
    found: Shapes = {f"{name}.pe_layer.positional_encoding_gaussian_matrix": (2, width // 2)}
    found |= {f"{name}.point_embeddings.{place}.weight": (1, width) for place in range(4)}
    found |= {f"{name}.{kind}.weight": (1, width) for kind in ("not_a_point_embed", "no_mask_embed")}
    found |= linear(f"{name}.mask_downscaling.0", few, 1, 2, 2) | norm(f"{name}.mask_downscaling.1", few)
    found |= linear(f"{name}.mask_downscaling.3", mask_channels, few, 2, 2) | norm(
        f"{name}.mask_downscaling.4", mask_channels
    )
    return found | linear(f"{name}.mask_downscaling.6", width, mask_channels, 1, 1)


def mask_decoder(*, width: int, mlp: int, iou: int) -> Shapes:
    name = "mask_decoder"
    found: Shapes = {f"{name}.iou_token.weight": (1, width), f"{name}.mask_tokens.weight": (4, width)}
    for layer in (f"{name}.transformer.layers.0", f"{name}.transformer.layers.1"):
        found |= attention(f"{layer}.self_attn", width, width)
        found |= attention(f"{layer}.cross_attn_token_to_image", width, width // 2)
        found |= attention(f"{layer}.cross_attn_image_to_token", width, width // 2)
        found |= linear(f"{layer}.mlp.lin1", mlp, width) | linear(f"{layer}.mlp.lin2", width, mlp)
        found |= {key: shape for place in range(1, 5) for key, shape in norm(f"{layer}.norm{place}", width).items()}
    found |= attention(f"{name}.transformer.final_attn_token_to_image", width, width // 2)
    found |= norm(f"{name}.transformer.norm_final_attn", width)
    found |= up(f"{name}.output_upscaling.0", width, width // 4) | norm(f"{name}.output_upscaling.1", width // 4)
    found |= up(f"{name}.output_upscaling.3", width // 4, width // 8)
    for place in range(4):
        found |= _mlp(f"{name}.output_hypernetworks_mlps.{place}", width, width, width // 8)
    return found | _mlp(f"{name}.iou_prediction_head", width, iou, 4)


def high_quality(*, channels: int, width: int) -> Shapes:
    """What SAM-HQ adds to the mask decoder."""
    name = "mask_decoder"
    found: Shapes = {f"{name}.hf_token.weight": (1, width)} | _mlp(f"{name}.hf_mlp", width, width, width // 8)
    found |= up(f"{name}.compress_vit_feat.0", channels, width) | norm(f"{name}.compress_vit_feat.1", width)
    found |= up(f"{name}.compress_vit_feat.3", width, width // 8)
    found |= up(f"{name}.embedding_encoder.0", width, width // 4) | norm(f"{name}.embedding_encoder.1", width // 4)
    found |= up(f"{name}.embedding_encoder.3", width // 4, width // 8)
    found |= linear(f"{name}.embedding_maskfeature.0", width // 4, width // 8, 3, 3)
    found |= norm(f"{name}.embedding_maskfeature.1", width // 4)
    return found | linear(f"{name}.embedding_maskfeature.3", width // 8, width // 4, 3, 3)


def original(*, hq: bool, sides: list[int] | None = None) -> dict[str, Tensor]:
    """Random weights of a small model: blocks that attend in windows, and one that attends to all."""
    shapes = image_encoder(channels=24, heads=3, sides=sides or [2, 4, 2], grid=4, patch=16, output=32)
    shapes |= prompt_encoder(width=32, mask_channels=8) | mask_decoder(width=32, mlp=40, iou=48)
    shapes |= high_quality(channels=24, width=32) if hq else {}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
