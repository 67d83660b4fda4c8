"""`adapt:tiny`: a small SAM that ships with the package: 256 px input, about 4 million parameters.

The project has pretrained it itself, on synthetic images only (`recipes/pretrain_tiny.yaml`, docs/tiny.md): it serves
to try everything without a download, and to test. Real work starts from `facebook/sam-vit-base` or a larger model.
"""

import hashlib
from pathlib import Path

from transformers import SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

from adapt.errors import CheckpointError

TINY_NOTE = "pretrained on synthetic images only: for trying the tool, not for real work"
FOLDER = Path(__file__).parent / "tiny_weights"
FILES = {
    "config.json": "4ad42961521970ed36f9b188ddc877c396ee4bfc7ac1c7d9cd49d47f0f9b9a06",
    "model.safetensors": "fb617a15e59831331605a0555b6cf6ede0f799adcd9345bbf81bfccbe571b290",
}
"""File to its sha256, which is checked before it is read."""
IMAGE_SIZE = 256
PATCH_SIZE = 16
CHANNELS = 128  # of the image embedding and the decoder


def tiny_folder(folder: Path = FOLDER) -> Path:
    """The folder of the pretrained model, as `SamModel.from_pretrained` reads it.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    for name, expected in FILES.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise _broken(f"{folder / name} cannot be read ({error.strerror})") from None
        if found != expected:
            raise _broken(f"{folder / name} is damaged (sha256 {found[:12]}…, not {expected[:12]}…)")
    return folder


def _broken(what: str) -> CheckpointError:
    return CheckpointError(
        f"adapt:tiny: {what}. Install the package again (pip install --force-reinstall --no-deps adapt-sam; of a "
        "checkout, git checkout that file), or set model.checkpoint to a Hub id or a local folder"
    )


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
