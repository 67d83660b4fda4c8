"""The tracker of SAM 3 (Carion et al., 2025) on images, prompted by points, boxes and masks.

Over `transformers.Sam3TrackerModel`: a ViT with rotary positions, and the decoder of SAM 2.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedModel, Sam3TrackerModel

from adapt.segmenters import sam2
from adapt.segmenters.family import Family
from adapt.segmenters.linears import decoder_linears, encoder_linears
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, Hidden, LinearSite, SegmenterSpec
from adapt.segmenters.stages import block_stages

HALF = (127.5, 127.5, 127.5)
ENCODER_LINEARS = {
    "attention.q_proj": ("query",),
    "attention.k_proj": ("key",),
    "attention.v_proj": ("value",),
    "attention.o_proj": ("proj",),
    "mlp.fc1": ("mlp",),
    "mlp.fc2": ("mlp",),
}
"""Linear layers of a block, and what they compute."""


def spec(model: Sam3TrackerModel) -> SegmenterSpec:
    """See `Family.spec`; pixels lie in -1 to 1."""
    return replace(sam2.spec(model), pixel_mean=HALF, pixel_std=HALF)


def stages(model: Sam3TrackerModel) -> Sequence[EncoderStage]:
    """Patch embedding with positions and their norm; blocks; the neck."""
    neck, vision = model.vision_encoder.neck, model.config.vision_config
    levels = len(vision.backbone_feature_sizes)

    def run_neck(hidden: Hidden) -> Hidden:
        (tokens,) = hidden
        maps, _ = neck(tokens.permute(0, 3, 1, 2))
        if len(maps) == levels:
            return sam2.decoded_maps(model, maps)
        # the stock model adds its embedding of no memory to the coarsest map of all, and then leaves that map out
        return (maps[levels - 1], *maps[: levels - 1])

    finest, finer, fine = ((vision.fpn_hidden_size, *size) for size in vision.backbone_feature_sizes)
    own = (model.no_memory_embedding,)
    return (*backbone_stages(model), EncoderStage(run_neck, (neck,), (fine, finest, finer), own=own))


def backbone_stages(model: PreTrainedModel) -> Sequence[EncoderStage]:
    """Those of a SAM 3 in front of the neck."""
    backbone, config = model.vision_encoder.backbone, model.config.vision_config.backbone_config
    side, width = config.image_size // config.patch_size, config.hidden_size

    def embed(hidden: Hidden) -> Hidden:
        (images,) = hidden
        tokens = backbone.embeddings(images)
        return (backbone.layer_norm(tokens.view(len(images), side, side, width)),)

    return (
        EncoderStage(embed, (backbone.embeddings, backbone.layer_norm), ((side, side, width),)),
        *block_stages(backbone.layers, [(side, side, width)] * len(backbone.layers)),
    )


def blocks(model: PreTrainedModel) -> Sequence[EncoderBlock]:
    """See `PromptableSegmenter.blocks`; attention gives a tuple, most blocks attend in windows."""
    channels = model.config.vision_config.backbone_config.hidden_size
    return [
        EncoderBlock(stage=1 + place, module=layer, attention=layer.attention, mlp=layer.mlp, channels=channels)
        for place, layer in enumerate(model.vision_encoder.backbone.layers)
    ]


def linears(model: Sam3TrackerModel) -> Sequence[LinearSite]:
    """See `PromptableSegmenter.linears`."""
    return [*backbone_linears(model), *decoder_linears(model.mask_decoder)]


def backbone_linears(model: PreTrainedModel) -> Sequence[LinearSite]:
    """Those of the blocks of a SAM 3."""
    count = len(model.vision_encoder.backbone.layers)
    return encoder_linears("vision_encoder.backbone.layers", count, ENCODER_LINEARS)


def at_input_size(model: Sam3TrackerModel, size: int) -> Sam3TrackerModel:
    """The same weights for inputs of another size; the model itself repeats its positions over the grid."""
    patch = model.config.vision_config.backbone_config.patch_size
    sam2.check_multiple(size, patch)
    config = copy.deepcopy(model.config)
    grid = size // patch
    config.vision_config.backbone_config.image_size = config.prompt_encoder_config.image_size = size
    config.vision_config.backbone_feature_sizes = [[grid * factor] * 2 for factor in (4, 2, 1)]
    return sam2.with_weights_of(model, config)


FAMILY = Family("SAM 3 tracker", Sam3TrackerModel, spec, stages, blocks, linears, sam2.decode, at_input_size)
