"""MobileSAM and TinySAM: from an original file to `MobileSamModel`."""

import math
import re
from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel

from adapt.architectures import MobileSamConfig, MobileSamModel
from adapt.originals.layout import (
    DECODER,
    IMAGE_SIZE,
    NECK,
    PATCH_SIZE,
    PROMPTS,
    Rules,
    count,
    filled,
    of_decoder,
    of_prompts,
    renamed,
)

MARK = "image_encoder.patch_embed.seq.0.c.weight"
"""What no other family has."""
UNUSED = re.compile(r"image_encoder\.(norm_head|head)\.")
"""The classifier that the encoder was first trained with; it is in MobileSAM's file, and segments nothing."""
RULES: Rules = (
    (r"^image_encoder\.patch_embed\.seq\.0\.", "vision_encoder.stem.conv1."),
    (r"^image_encoder\.patch_embed\.seq\.2\.", "vision_encoder.stem.conv2."),
    (r"^image_encoder\.layers\.0\.blocks\.", "vision_encoder.bottlenecks."),
    (r"^image_encoder\.layers\.(\d+)\.downsample\.", r"vision_encoder.merges.\1."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.attn\.norm\.", ".layer_norm1."),
    (r"\.mlp\.norm\.", ".layer_norm2."),
    (r"\.mlp\.fc1\.", ".mlp.lin1."),
    (r"\.mlp\.fc2\.", ".mlp.lin2."),
    (r"\.attn\.attention_biases$", ".attn.distance_bias"),
    (r"\.c\.weight$", ".conv.weight"),
    (r"\.bn\.", ".norm."),
    *NECK,
    *PROMPTS,
    *DECODER,
)
BLOCK = re.compile(r"vision_encoder\.layers\.(\d+)\.blocks\.(\d+)\.")


def mobile_sam_model(original: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """See `published_model`.

    The rows of a block's query, key and value lie head by head in the original; here all of the query come first.
    """
    kept = {renamed(name, RULES): value for name, value in original.items() if not UNUSED.match(name)}
    depths = _depths(kept)
    weights = {_flat(name, depths): value for name, value in kept.items()}
    config = _config(weights, depths)
    for name in [name for name in weights if ".attn.qkv." in name]:
        heads = len(weights[re.sub(r"qkv\.\w+$", "distance_bias", name)])
        weights[name] = by_parts(weights[name], heads)
    return filled(MobileSamModel(config), weights, source=source)


def by_parts(rows: Tensor, heads: int) -> Tensor:
    """Rows of (heads, 3, D) in the order (3, heads, D)."""
    ordered: Tensor = rows.unflatten(0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)
    return ordered.contiguous()


def _depths(weights: Mapping[str, Tensor]) -> list[int]:
    """Blocks of each layer."""
    layers = count(weights, r"vision_encoder\.layers\.(\d+)\.")
    of_blocks = [count(weights, rf"vision_encoder\.layers\.{layer}\.blocks\.(\d+)\.") for layer in range(1, layers)]
    return [count(weights, r"vision_encoder\.bottlenecks\.(\d+)\."), *of_blocks]


def _flat(name: str, depths: list[int]) -> str:
    """Blocks of all layers behind the first, numbered through."""
    return BLOCK.sub(lambda of: f"vision_encoder.layers.{sum(depths[1 : int(of[1])]) + int(of[2])}.", name)


def _config(weights: Mapping[str, Tensor], depths: list[int]) -> MobileSamConfig:
    first = [f"vision_encoder.layers.{sum(depths[1:layer])}" for layer in range(1, len(depths))]
    biases = [weights[f"{block}.attn.distance_bias"] for block in first]
    hidden, width = weights[f"{first[0]}.mlp.lin1.weight"].shape
    wide, stem = weights["vision_encoder.bottlenecks.0.conv1.conv.weight"].shape[:2]
    output = weights["vision_encoder.neck.conv1.weight"].shape[0]
    vision = {
        "image_size": IMAGE_SIZE,
        "widths": [stem, *(weights[f"{block}.attn.proj.weight"].shape[0] for block in first)],
        "depths": depths,
        "heads": [len(bias) for bias in biases],
        "windows": [math.isqrt(bias.shape[1]) for bias in biases],
        "mlp_ratio": hidden / width,
        "expansion": wide / stem,
        "output_channels": output,
        "num_pos_feats": output // 2,
    }
    return MobileSamConfig(
        vision_config=vision,
        prompt_encoder_config=of_prompts(weights, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE),
        mask_decoder_config=of_decoder(weights),
    )
