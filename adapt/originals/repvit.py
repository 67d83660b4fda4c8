"""EdgeSAM and RepViT-SAM: from an original file to `EdgeSamModel` and `RepVitSamModel`."""

from collections.abc import Mapping
from itertools import groupby

from torch import Tensor
from transformers import PreTrainedModel

from adapt.architectures import EdgeSamConfig, EdgeSamModel, RepVitSamConfig, RepVitSamModel
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

MARK = "image_encoder.features.0.0.c.weight"
"""What no other family has."""
RULES: Rules = (
    (r"^image_encoder\.features\.0\.0\.", "vision_encoder.stem.conv1."),
    (r"^image_encoder\.features\.0\.2\.", "vision_encoder.stem.conv2."),
    (r"^image_encoder\.features\.", "vision_encoder.blocks."),
    (r"^image_encoder\.fuse_stage2\.", "vision_encoder.neck.of_fine."),
    (r"^image_encoder\.fuse_stage3\.op_list\.0\.", "vision_encoder.neck.of_coarse."),
    (r"^image_encoder\.neck\.", "vision_encoder.neck.neck."),
    (r"\.token_mixer\.0\.conv\.", ".within.wide."),
    (r"\.token_mixer\.0\.conv1\.", ".within.narrow."),
    (r"\.token_mixer\.0\.", ".within."),
    (r"\.token_mixer\.1\.", ".gate."),
    (r"\.token_mixer\.2\.", ".widen."),
    (r"\.channel_mixer\.m\.0\.", ".expand."),
    (r"\.channel_mixer\.m\.2\.", ".shrink."),
    (r"\.c\.weight$", ".conv.weight"),
    (r"\.bn\.", ".norm."),
    *NECK,
    *PROMPTS,
    *DECODER,
)


def repvit_sam_model(original: Mapping[str, Tensor], *, source: str) -> PreTrainedModel:
    """See `published_model`; a file whose neck reads two maps is of EdgeSAM."""
    weights = {_from_zero(renamed(name, RULES)): value for name, value in original.items()}
    vision = _vision(weights)
    config, model = (EdgeSamConfig, EdgeSamModel) if vision["fused"] else (RepVitSamConfig, RepVitSamModel)
    of_all = config(
        vision_config=vision,
        prompt_encoder_config=of_prompts(weights, image_size=IMAGE_SIZE, patch_size=PATCH_SIZE),
        mask_decoder_config=of_decoder(weights),
    )
    return filled(model(of_all), weights, source=source)


def _from_zero(name: str) -> str:
    """In the original the stem is the first of the blocks."""
    head, of_blocks, rest = name.partition("vision_encoder.blocks.")
    if not of_blocks:
        return name
    place, dot, rest = rest.partition(".")
    return f"{head}{of_blocks}{int(place) - 1}{dot}{rest}"


def _vision(weights: Mapping[str, Tensor]) -> dict[str, object]:
    blocks = [f"vision_encoder.blocks.{place}" for place in range(count(weights, r"vision_encoder\.blocks\.(\d+)\."))]
    widths = [weights[f"{block}.shrink.conv.weight"].shape[0] for block in blocks]
    layers = [(width, len(list(same))) for width, same in groupby(widths)]
    output = weights["vision_encoder.neck.neck.conv1.weight"].shape[0]
    return {
        "image_size": IMAGE_SIZE,
        "widths": [width for width, _ in layers],
        "depths": [depth for _, depth in layers],
        "gated": [place for place, block in enumerate(blocks) if f"{block}.gate.fc1.weight" in weights],
        "fused": "vision_encoder.neck.of_fine.weight" in weights,
        "joint_norm": "vision_encoder.blocks.0.within.norm.weight" in weights,
        "output_channels": output,
        "num_pos_feats": output // 2,
    }
