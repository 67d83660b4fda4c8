"""EfficientSAM, Ti and S: from an original file to `EfficientSamModel`."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from adapt.architectures import EfficientSamConfig, EfficientSamModel
from adapt.originals.layout import (
    FREQUENCIES,
    IMAGE_SIZE,
    NECK,
    PROMPTS,
    TRANSFORMER,
    Rules,
    count,
    filled,
    of_decoder,
    renamed,
)

MARK = "prompt_encoder.bbox_top_left_embeddings.weight"
"""What no other family has."""
_NETWORK = r"\.(iou_prediction_head|output_hypernetworks_mlps\.\d+)"
RULES: Rules = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"^vision_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"\.mlp\.fc1\.", ".mlp.lin1."),
    (r"\.mlp\.fc2\.", ".mlp.lin2."),
    *NECK,
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed.1."),
    (r"\.bbox_top_left_embeddings\.", ".point_embed.2."),
    (r"\.bbox_bottom_right_embeddings\.", ".point_embed.3."),
    (r"\.invalid_points\.", ".not_a_point_embed."),
    *PROMPTS,
    *TRANSFORMER,
    (r"\.mlp\.layers\.0\.0\.", ".mlp.lin1."),
    (r"\.mlp\.fc\.", ".mlp.lin2."),
    (rf"{_NETWORK}\.layers\.0\.0\.", r".\1.proj_in."),
    (rf"{_NETWORK}\.layers\.1\.0\.", r".\1.layers.0."),
    (rf"{_NETWORK}\.fc\.", r".\1.proj_out."),
    (r"\.final_output_upscaling_layers\.0\.0\.", ".upscale_conv1."),
    (r"\.final_output_upscaling_layers\.0\.1\.", ".upscale_norm."),
    (r"\.final_output_upscaling_layers\.1\.0\.", ".upscale_conv2."),
)
HEAD_WIDTH = 64
"""Channels of a head of the encoder's attention, which no weight tells."""
MASK_CHANNELS = 16
"""Of SAM's embedding of masks, which the published model has not."""
POSITIONS, NO_POINT = "vision_encoder.pos_embed", "prompt_encoder.not_a_point_embed.weight"
OUTSIDE = -0.5
"""Where the published code puts a point that is none, pixels."""


@torch.no_grad()
def efficient_sam_model(original: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """See `published_model`.

    Positions are kept as the published code uses them: interpolated to the grid, without the one of the class token;
    and the place of a point that is none is kept in its embedding.
    """
    weights = {renamed(name, RULES): value for name, value in original.items()}
    weights[POSITIONS] = _on_grid(weights[POSITIONS], IMAGE_SIZE // _patch(weights))
    weights[NO_POINT] = weights[NO_POINT] + _place(weights[FREQUENCIES], OUTSIDE / IMAGE_SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = EfficientSamModel(_config(weights))
    return filled(model, weights | _without_masks(model), source=source)


def _on_grid(positions: Tensor, grid: int) -> Tensor:
    """(1, 1 + h w, C), the class token's first, to (1, grid, grid, C)."""
    of_patches = positions[:, 1:]
    side = math.isqrt(of_patches.shape[1])
    squared = of_patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(squared, (grid, grid), mode="bicubic", align_corners=False)
    return (squared if side == grid else resized).permute(0, 2, 3, 1)


def _place(frequencies: Tensor, at: float) -> Tensor:
    """(1, C), of a point with both coordinates `at`, 0 to 1."""
    angles = 2 * math.pi * ((2 * torch.tensor([[at, at]]) - 1) @ frequencies)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def _without_masks(model: PreTrainedModel) -> dict[str, Tensor]:
    """What the published model has no weights for: no embedding of background points, and of no mask; masks unread.

    The last layer of the embedding of masks is zero, those before it are fresh, so that it can learn.
    """
    own = model.prompt_encoder.state_dict()
    unread = {name: value.clone() for name, value in own.items() if name.startswith("mask_embed.")}
    none = {name: torch.zeros_like(own[name]) for name in ("point_embed.0.weight", "no_mask_embed.weight")}
    last = {name: torch.zeros_like(value) for name, value in unread.items() if name.startswith("mask_embed.conv3.")}
    return {f"prompt_encoder.{name}": value for name, value in (unread | none | last).items()}


def _patch(weights: Mapping[str, Tensor]) -> int:
    return weights["vision_encoder.patch_embed.projection.weight"].shape[-1]


def _config(weights: Mapping[str, Tensor]) -> EfficientSamConfig:
    channels = weights["vision_encoder.patch_embed.projection.weight"].shape[0]
    blocks = count(weights, r"vision_encoder\.layers\.(\d+)\.")
    output = weights["vision_encoder.neck.conv1.weight"].shape[0]
    vision = {
        "hidden_size": channels,
        "num_hidden_layers": blocks,
        "num_attention_heads": channels // HEAD_WIDTH,
        "image_size": IMAGE_SIZE,
        "patch_size": _patch(weights),
        "use_rel_pos": False,
        "window_size": 0,
        "global_attn_indexes": list(range(blocks)),
        "mlp_ratio": weights["vision_encoder.layers.0.mlp.lin1.weight"].shape[0] / channels,
        "output_channels": output,
        "num_pos_feats": output // 2,
    }
    prompts = {
        "hidden_size": weights["prompt_encoder.point_embed.1.weight"].shape[1],
        "image_size": IMAGE_SIZE,
        "patch_size": _patch(weights),
        "mask_input_channels": MASK_CHANNELS,
    }
    decoder = {**of_decoder(weights), "hidden_act": "gelu", "layer_norm_eps": 1e-5}
    return EfficientSamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
