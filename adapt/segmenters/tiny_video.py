"""`adapt:tiny_video`: a small SAM 2 video model with random weights, for trying clips and memory without a download."""

import torch
from transformers import PreTrainedModel, Sam2VideoConfig, Sam2VideoModel

from adapt.segmenters.initial import initialised

NAME = "adapt:tiny_video"
NOTE = "random weights: for trying clips and memory, not for real work"
SEED = 0
IMAGE_SIZE, CHANNELS = 128, 64
GRID = IMAGE_SIZE // 16


def tiny_video_model(*, seed: int) -> PreTrainedModel:
    """The model with fresh weights, in eval mode; it begins by seeing objects everywhere, or none would be followed."""
    model = initialised(tiny_video_config(), seed=seed, of=Sam2VideoModel)
    with torch.no_grad():
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(2.0)
    return model


def tiny_video_config() -> Sam2VideoConfig:
    """The architecture: Hiera of 6 blocks on 128 px, a memory of two layers."""
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 24,
        "num_attention_heads": 1,
        "image_size": [IMAGE_SIZE, IMAGE_SIZE],
        "blocks_per_stage": [1, 2, 2, 1],
        "embed_dim_per_stage": [24, 48, 96, 192],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 8, 4],
        "global_attention_blocks": [4],
        "window_positional_embedding_background_size": [4, 4],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [192, 96, 48, 24],
        "backbone_feature_sizes": [[4 * GRID] * 2, [2 * GRID] * 2, [GRID] * 2],
        "fpn_hidden_size": CHANNELS,
    }
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": CHANNELS, "image_size": IMAGE_SIZE, "patch_size": 16},
        mask_decoder_config={
            "hidden_size": CHANNELS,
            "mlp_dim": 256,
            "num_attention_heads": 4,
            "iou_head_hidden_dim": CHANNELS,
        },
        image_size=IMAGE_SIZE,
        memory_attention_hidden_size=CHANNELS,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=256,
        memory_attention_rope_feat_sizes=[GRID, GRID],
        memory_encoder_hidden_size=CHANNELS,
        mask_downsampler_embed_dim=CHANNELS,
        memory_fuser_embed_dim=CHANNELS,
        memory_fuser_intermediate_dim=256,
    )
