"""A small model of each family with random weights: every architecture, a few thousand parameters."""

import functools

import torch
from torch import nn
from transformers import (
    EdgeTamConfig,
    PreTrainedModel,
    Sam2Config,
    Sam2Model,
    Sam2VideoConfig,
    Sam3TrackerConfig,
    SamConfig,
    SamHQConfig,
)

from adapt.architectures import EdgeSamConfig, EfficientSamConfig, MobileSamConfig, RepVitSamConfig
from adapt.families import missing_packages
from adapt.segmenters.checkpoint import BY_NAME
from adapt.segmenters.initial import initialised
from adapt.segmenters.segmenter import Segmenter

DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32}


def _plain_vit() -> dict[str, object]:
    return {
        "hidden_size": 16,
        "output_channels": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "window_size": 2,
        "global_attn_indexes": [1, 2],
        "mlp_ratio": 2.0,
        "num_pos_feats": 16,
    }


def sam() -> SamConfig:
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    return SamConfig(vision_config=_plain_vit(), prompt_encoder_config=prompts, mask_decoder_config=DECODER)


def sam_hq() -> SamHQConfig:
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    decoder = {**DECODER, "vit_dim": 16}
    return SamHQConfig(vision_config=_plain_vit(), prompt_encoder_config=prompts, mask_decoder_config=decoder)


def sam2(width: int = 32) -> Sam2Config:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 2, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 2, 4],
        "window_size_per_stage": [8, 4, 4, 2],
        "global_attention_blocks": [4],
        "window_positional_embedding_background_size": [3, 3],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": width,
    }
    prompts = {"hidden_size": width, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {**DECODER, "hidden_size": width}
    return Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


def sam2_video() -> Sam2VideoConfig:
    """Twice as wide as a map of the memory, whose width the stock layers fix: so pointers are cut in two."""
    image, parts = sam2(width=128).to_dict(), ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    return Sam2VideoConfig(
        **{
            part: {key: value for key, value in image[part].items() if key != "model_type" or part == "vision_config"}
            for part in parts
        },
        image_size=64,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[4, 4],
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_num_layers=1,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=32,
    )


def sam3_tracker() -> Sam3TrackerConfig:
    backbone = {
        "model_type": "sam3_vit_model",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "window_size": 2,
        "global_attn_indexes": [1],
        "pretrain_image_size": 28,
    }
    vision = {
        "model_type": "sam3_vision_model",
        "backbone_config": backbone,
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "scale_factors": [4.0, 2.0, 1.0],
        "fpn_hidden_size": 32,
    }
    prompts = {"hidden_size": 32, "image_size": 56, "patch_size": 14, "mask_input_channels": 4}
    return Sam3TrackerConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)


def edgetam() -> EdgeTamConfig:
    backbone = {
        "model_type": "timm_wrapper",
        "architecture": "repvit_m1",  # of the published checkpoint
        "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
        "num_classes": 2,
        "initializer_range": 0.02,
    }
    vision = {
        "model_type": "edgetam_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [384, 192, 96, 48],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": 32,
    }
    prompts = {"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    return EdgeTamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)


def efficient_sam() -> EfficientSamConfig:
    vision = {**_plain_vit(), "use_rel_pos": False, "window_size": 0, "global_attn_indexes": [0, 1, 2]}
    decoder = {**DECODER, "hidden_act": "gelu", "layer_norm_eps": 1e-5}
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    return EfficientSamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)


def mobile_sam() -> MobileSamConfig:
    vision = {
        "image_size": 64,
        "widths": [8, 16, 24, 16],
        "depths": [1, 1, 2, 1],
        "heads": [2, 3, 2],
        "windows": [3, 4, 3],  # of maps of 8, 4 and 4 pixels: some are filled up, one is whole
        "mlp_ratio": 2.0,
        "expansion": 2.0,
        "output_channels": 32,
        "num_pos_feats": 16,
    }
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    return MobileSamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)


def _repvit() -> dict[str, object]:
    return {
        "image_size": 64,
        "widths": [8, 16, 24, 32],
        "depths": [2, 2, 3, 2],
        "gated": [0, 3, 7, 8],
        "output_channels": 32,
        "num_pos_feats": 16,
    }


def edge_sam() -> EdgeSamConfig:
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    return EdgeSamConfig(vision_config=_repvit(), prompt_encoder_config=prompts, mask_decoder_config=DECODER)


def repvit_sam() -> RepVitSamConfig:
    vision = {**_repvit(), "fused": False, "joint_norm": True}
    prompts = {"hidden_size": 32, "image_size": 64, "mask_input_channels": 4}
    return RepVitSamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=DECODER)


OF_BLOCKS = {
    "SAM": sam,
    "SAM-HQ": sam_hq,
    "SAM 2": sam2,
    "SAM 2 video": sam2_video,
    "SAM 3 tracker": sam3_tracker,
    "EfficientSAM": efficient_sam,
    "MobileSAM": mobile_sam,
}
"""Families whose encoders are built of transformer blocks."""
OF_CONVOLUTIONS = {
    "EdgeSAM": edge_sam,
    "RepViT-SAM": repvit_sam,
    **({} if missing_packages("EdgeTAM") else {"EdgeTAM": edgetam}),
}
SMALL = OF_BLOCKS | OF_CONVOLUTIONS


@functools.cache
def small_model(family: str) -> PreTrainedModel:
    """In which no weight or statistic is zero or one, as some of a fresh model are; shared, so copy before a change."""
    model = initialised(SMALL[family](), seed=0, of=BY_NAME[family].model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


def small_segmenter(family: str) -> Segmenter:
    """Around the shared model."""
    return Segmenter(small_model(family), BY_NAME[family])


def of_images(model: PreTrainedModel) -> PreTrainedModel:
    """The stock model that segments images with a model's weights: itself, but for a video model."""
    if not isinstance(model.config, Sam2VideoConfig):
        return model
    config = sam2(width=128)
    config.vision_config, config.prompt_encoder_config.image_size = model.config.vision_config, model.config.image_size
    stock = Sam2Model(config)
    stock.load_state_dict({name: value for name, value in model.state_dict().items() if name in stock.state_dict()})
    return stock.eval()
