"""Names and shapes of the weights of EfficientSAM, MobileSAM, EdgeSAM and RepViT-SAM as their authors publish them.

For small sizes, with random values. Written down from the published definitions of the modules, independently of the
rules of the conversion.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from original_layout import Shapes, attention, linear, mask_decoder, norm, prompt_encoder, up
from torch import Tensor

WIDTH = 32
"""Of the image embedding and the decoder."""


def _neck(inputs: int) -> Shapes:
    name = "image_encoder.neck"
    found: Shapes = {f"{name}.0.weight": (WIDTH, inputs, 1, 1), f"{name}.2.weight": (WIDTH, WIDTH, 3, 3)}
    return found | norm(f"{name}.1", WIDTH) | norm(f"{name}.3", WIDTH)


def _batch_norm(name: str, channels: int) -> Shapes:
    statistics: Shapes = {f"{name}.running_mean": (channels,), f"{name}.running_var": (channels,)}
    return norm(name, channels) | statistics | {f"{name}.num_batches_tracked": ()}


def _conv_norm(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    """A convolution without bias, and its batch norm; `inputs` of a group."""
    return {f"{name}.c.weight": (outputs, inputs, kernel, kernel)} | _batch_norm(f"{name}.bn", outputs)


def mobile_sam() -> Shapes:
    widths, depths, heads, windows = [8, 16, 24, 16], [2, 1, 2, 1], [2, 3, 2], [3, 4, 3]
    root = "image_encoder"
    found = _conv_norm(f"{root}.patch_embed.seq.0", 3, 4, 3) | _conv_norm(f"{root}.patch_embed.seq.2", 4, 8, 3)
    for place in range(depths[0]):
        name = f"{root}.layers.0.blocks.{place}"
        found |= _conv_norm(f"{name}.conv1", 8, 32, 1) | _conv_norm(f"{name}.conv2", 1, 32, 3)
        found |= _conv_norm(f"{name}.conv3", 32, 8, 1)
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        name = f"{root}.layers.{number}.downsample"
        found |= _conv_norm(f"{name}.conv1", inputs, outputs, 1) | _conv_norm(f"{name}.conv2", 1, outputs, 3)
        found |= _conv_norm(f"{name}.conv3", outputs, outputs, 1)
    for number, (width, of_heads, window) in enumerate(zip(widths[1:], heads, windows, strict=True), start=1):
        for place in range(depths[number]):
            name = f"{root}.layers.{number}.blocks.{place}"
            found |= norm(f"{name}.attn.norm", width) | linear(f"{name}.attn.qkv", 3 * width, width)
            found |= linear(f"{name}.attn.proj", width, width) | {
                f"{name}.attn.attention_biases": (of_heads, window**2)
            }
            found |= norm(f"{name}.mlp.norm", width) | linear(f"{name}.mlp.fc1", 4 * width, width)
            found |= linear(f"{name}.mlp.fc2", width, 4 * width) | _conv_norm(f"{name}.local_conv", 1, width, 3)
    found |= norm(f"{root}.norm_head", 16) | linear(f"{root}.head", 10, 16)
    return found | _neck(16) | prompt_encoder(width=WIDTH, mask_channels=8) | mask_decoder(width=WIDTH, mlp=40, iou=48)


def _repvit(*, joint_norm: bool) -> Shapes:
    widths, depths, gated = [8, 16, 24, 40], [2, 2, 3, 2], {1, 4, 8, 9}
    root = "image_encoder.features"
    found = _conv_norm(f"{root}.0.0", 3, 4, 3) | _conv_norm(f"{root}.0.2", 4, 8, 3)
    place, inputs = 1, widths[0]
    for width, depth in zip(widths, depths, strict=True):
        for _ in range(depth):
            name = f"{root}.{place}"
            if width != inputs:
                found |= _conv_norm(f"{name}.token_mixer.0", 1, inputs, 3)
                found |= _conv_norm(f"{name}.token_mixer.2", inputs, width, 1)
            else:
                found |= _conv_norm(f"{name}.token_mixer.0.conv", 1, width, 3)
                narrow = f"{name}.token_mixer.0.conv1"
                found |= linear(narrow, width, 1, 1, 1) if joint_norm else _conv_norm(narrow, 1, width, 1)
                found |= _batch_norm(f"{name}.token_mixer.0.bn", width) if joint_norm else {}
            if place in gated:
                found |= linear(f"{name}.token_mixer.1.fc1", 8, inputs, 1, 1)
                found |= linear(f"{name}.token_mixer.1.fc2", inputs, 8, 1, 1)
            found |= _conv_norm(f"{name}.channel_mixer.m.0", width, 2 * width, 1)
            found |= _conv_norm(f"{name}.channel_mixer.m.2", 2 * width, width, 1)
            place, inputs = place + 1, width
    return found | prompt_encoder(width=WIDTH, mask_channels=8) | mask_decoder(width=WIDTH, mlp=40, iou=48)


def edge_sam() -> Shapes:
    fused: Shapes = {
        "image_encoder.fuse_stage2.weight": (WIDTH, 24, 1, 1),
        "image_encoder.fuse_stage3.op_list.0.weight": (WIDTH, 40, 1, 1),
    }
    return _repvit(joint_norm=False) | fused | _neck(WIDTH)


def repvit_sam() -> Shapes:
    return _repvit(joint_norm=True) | _neck(40)


def _network(name: str, *sizes: int) -> Shapes:
    """EfficientSAM's MLP: each hidden layer with its activation in a list, then the last one."""
    found: Shapes = {}
    for place, (inputs, outputs) in enumerate(pairwise(sizes[:-1])):
        found |= linear(f"{name}.layers.{place}.0", outputs, inputs)
    return found | linear(f"{name}.fc", sizes[-1], sizes[-2])


def efficient_sam() -> Shapes:
    channels, root, prompts, decoder = 128, "image_encoder", "prompt_encoder", "mask_decoder"
    found: Shapes = {f"{root}.pos_embed": (1, 1 + 14 * 14, channels)}
    found |= linear(f"{root}.patch_embed.proj", channels, 3, 16, 16)
    for name in (f"{root}.blocks.0", f"{root}.blocks.1"):
        found |= norm(f"{name}.norm1", channels) | norm(f"{name}.norm2", channels)
        found |= linear(f"{name}.attn.qkv", 3 * channels, channels) | linear(f"{name}.attn.proj", channels, channels)
        found |= linear(f"{name}.mlp.fc1", 2 * channels, channels) | linear(f"{name}.mlp.fc2", channels, 2 * channels)
    found |= _neck(channels) | {f"{prompts}.pe_layer.positional_encoding_gaussian_matrix": (2, WIDTH // 2)}
    for kind in ("invalid_points", "point_embeddings", "bbox_top_left_embeddings", "bbox_bottom_right_embeddings"):
        found |= {f"{prompts}.{kind}.weight": (1, WIDTH)}
    found |= {f"{decoder}.iou_token.weight": (1, WIDTH), f"{decoder}.mask_tokens.weight": (4, WIDTH)}
    for name in (f"{decoder}.transformer.layers.0", f"{decoder}.transformer.layers.1"):
        found |= attention(f"{name}.self_attn", WIDTH, WIDTH)
        found |= attention(f"{name}.cross_attn_token_to_image", WIDTH, WIDTH // 2)
        found |= attention(f"{name}.cross_attn_image_to_token", WIDTH, WIDTH // 2)
        found |= _network(f"{name}.mlp", WIDTH, 40, WIDTH)
        found |= {key: shape for place in range(1, 5) for key, shape in norm(f"{name}.norm{place}", WIDTH).items()}
    found |= attention(f"{decoder}.transformer.final_attn_token_to_image", WIDTH, WIDTH // 2)
    found |= norm(f"{decoder}.transformer.norm_final_attn", WIDTH)
    upscaling = f"{decoder}.final_output_upscaling_layers"
    found |= up(f"{upscaling}.0.0", WIDTH, WIDTH // 4) | norm(f"{upscaling}.0.1", WIDTH // 4)
    found |= up(f"{upscaling}.1.0", WIDTH // 4, WIDTH // 8)
    for place in range(4):
        found |= _network(f"{decoder}.output_hypernetworks_mlps.{place}", WIDTH, WIDTH, WIDTH, WIDTH // 8)
    return found | _network(f"{decoder}.iou_prediction_head", WIDTH, 48, 48, 4)


LAYOUTS: Mapping[str, Callable[[], Shapes]] = {
    "EfficientSAM": efficient_sam,
    "MobileSAM": mobile_sam,
    "EdgeSAM": edge_sam,
    "RepViT-SAM": repvit_sam,
}
"""By the names of the families."""


def small_original(family: str) -> dict[str, Tensor]:
    """Random weights, near those of a network whose numbers neither vanish nor explode; variances are positive."""
    generator = torch.Generator().manual_seed(0)
    found: dict[str, Tensor] = {}
    for name, shape in LAYOUTS[family]().items():
        value = torch.randn(shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            found[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            found[name] = 0.5 + value.square()
        elif len(shape) == 1 and name.endswith("weight"):  # of a norm
            found[name] = 1 + 0.2 * value
        elif len(shape) > 1 and "gaussian" not in name:
            found[name] = value / max(1, value[0].numel()) ** 0.5
        else:
            found[name] = 0.2 * value if "gaussian" not in name else value
    return found
