"""`adapt:tiny`: a small SAM that needs no download: 256 px input, about 4 million parameters.

Its weights are random, drawn from a fixed seed, until the project ships pretrained ones: it serves to run
everything end to end and to test, and its own masks are worth nothing before tuning.
"""

from transformers import SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

TINY_NOTE = "random weights: its untouched figures are a floor, not Segment Anything's"
TINY_SEED = 20_230_405  # the day Segment Anything appeared
IMAGE_SIZE = 256
PATCH_SIZE = 16
CHANNELS = 128  # of the image embedding and the decoder


def tiny_config() -> SamConfig:
    """The architecture: a ViT of 7 layers and width 192, of which layers 2, 4 and 7 attend globally."""
    return SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=192,
            output_channels=CHANNELS,
            num_hidden_layers=7,
            num_attention_heads=6,
            image_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            window_size=8,
            global_attn_indexes=[1, 3, 6],
            mlp_ratio=4.0,
            num_pos_feats=CHANNELS // 2,
            scale=1.0,  # as the original; transformers' default, hidden_size // 2, scrambles positions
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=CHANNELS, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE, mask_input_channels=16
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=CHANNELS, mlp_dim=512, num_attention_heads=8, iou_head_hidden_dim=CHANNELS
        ),
    )
