"""SAM, SAM-HQ and MedSAM: from the names and shapes of an original file to the stock model."""

from collections.abc import Mapping

from torch import Tensor
from transformers import PreTrainedModel, SamConfig, SamHQConfig, SamHQModel, SamModel

from adapt.originals.layout import DECODER, NECK, PROMPTS, Rules, count, filled, of_decoder, of_prompts, renamed

RULES: Rules = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"^vision_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    *NECK,
    *PROMPTS,
    (r"\.hf_token\.", ".hq_token."),
    (r"\.hf_mlp\.", ".hq_mask_mlp."),
    *DECODER,
    (r"\.compress_vit_feat\.0\.", ".compress_vit_conv1."),
    (r"\.compress_vit_feat\.1\.", ".compress_vit_norm."),
    (r"\.compress_vit_feat\.3\.", ".compress_vit_conv2."),
    (r"\.embedding_encoder\.0\.", ".encoder_conv1."),
    (r"\.embedding_encoder\.1\.", ".encoder_norm."),
    (r"\.embedding_encoder\.3\.", ".encoder_conv2."),
    (r"\.embedding_maskfeature\.0\.", ".mask_conv1."),
    (r"\.embedding_maskfeature\.1\.", ".mask_norm."),
    (r"\.embedding_maskfeature\.3\.", ".mask_conv2."),
)
PATCHES, POSITIONS = "vision_encoder.patch_embed.projection.weight", "vision_encoder.pos_embed"
HIGH_QUALITY = "mask_decoder.hq_token.weight"


def stock_name(name: str) -> str:
    """The name that transformers has for an original weight."""
    return renamed(name, RULES)


def sam_model(original: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """A `SamModel` or `SamHQModel`; see `published_model`."""
    weights = {stock_name(name): value for name, value in original.items()}
    model: PreTrainedModel = (
        SamHQModel(_config(weights, SamHQConfig)) if HIGH_QUALITY in weights else SamModel(_config(weights, SamConfig))
    )
    return filled(model, weights, source=source)


def _config(weights: Mapping[str, Tensor], kind: type[SamConfig]) -> SamConfig:
    """The architecture that the shapes of the weights tell."""
    vision = _vision(weights)
    decoder = of_decoder(weights)
    if HIGH_QUALITY in weights:
        decoder["vit_dim"] = weights["mask_decoder.compress_vit_conv1.weight"].shape[0]
    patches, positions = weights[PATCHES], weights[POSITIONS]
    patch, side = patches.shape[-1], positions.shape[1]
    return kind(
        vision_config=vision,
        prompt_encoder_config=of_prompts(weights, image_size=side * patch, patch_size=patch),
        mask_decoder_config=decoder,
    )


def _vision(weights: Mapping[str, Tensor]) -> dict[str, object]:
    patches, positions = weights[PATCHES], weights[POSITIONS]
    channels, patch, side = patches.shape[0], patches.shape[-1], positions.shape[1]
    blocks = count(weights, r"vision_encoder\.layers\.(\d+)\.")
    relative = [weights[f"vision_encoder.layers.{place}.attn.rel_pos_h"] for place in range(blocks)]
    seen = [(len(rows) + 1) // 2 for rows in relative]  # side of what a block attends to
    windows = [size for size in seen if size != side]
    output = weights["vision_encoder.neck.conv1.weight"].shape[0]
    return {
        "hidden_size": channels,
        "num_hidden_layers": blocks,
        "num_attention_heads": channels // relative[0].shape[1],
        "image_size": side * patch,
        "patch_size": patch,
        "window_size": windows[0] if windows else 0,
        "global_attn_indexes": [place for place, size in enumerate(seen) if size == side],
        "mlp_ratio": weights["vision_encoder.layers.0.mlp.lin1.weight"].shape[0] / channels,
        "output_channels": output,
        "num_pos_feats": output // 2,
    }
