"""Segment Anything (Kirillov et al., 2023) over `transformers.SamModel`: ViT-B, L, H, MedSAM, SlimSAM, adapt:tiny."""

from collections.abc import Sequence

from transformers import SamModel

from adapt.segmenters.family import Family, ObjectMasks, PromptedObjects
from adapt.segmenters.input_size import at_input_size
from adapt.segmenters.linears import decoder_linears, encoder_linears
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, Hidden, ImageFeatures, LinearSite, SegmenterSpec
from adapt.segmenters.segmenter import Segmenter
from adapt.segmenters.stages import block_stages

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
ENCODER_LINEARS = {
    "attn.qkv": ("query", "key", "value"),
    "attn.proj": ("proj",),
    "mlp.lin1": ("mlp",),
    "mlp.lin2": ("mlp",),
}
"""Linear layers of a block, and what they compute: query, key and value are one."""


def spec(model: SamModel) -> SegmenterSpec:
    """See `Family.spec`."""
    config = model.config
    return SegmenterSpec(
        image_size=config.vision_config.image_size,
        mask_size=4 * config.prompt_encoder_config.image_embedding_size,  # the decoder upscales twice by 2
        pixel_mean=IMAGENET_MEAN,
        pixel_std=IMAGENET_STD,
        candidates=config.mask_decoder_config.num_multimask_outputs,
        fit="pad",
    )


def stages(model: SamModel) -> Sequence[EncoderStage]:
    """Patch embedding with positions; blocks; the neck."""
    encoder, config = model.vision_encoder, model.config.vision_config
    side = config.image_size // config.patch_size

    def neck(hidden: Hidden) -> Hidden:
        (tokens,) = hidden
        return (encoder.neck(tokens),)

    return (
        embedding_stage(model),
        *block_stages(encoder.layers, [(side, side, config.hidden_size)] * len(encoder.layers)),
        EncoderStage(neck, (encoder.neck,), ((config.output_channels, side, side),)),
    )


def embedding_stage(model: SamModel) -> EncoderStage:
    """From images to tokens that know their place."""
    encoder, config = model.vision_encoder, model.config.vision_config
    side = config.image_size // config.patch_size
    positions = () if encoder.pos_embed is None else (encoder.pos_embed,)

    def embed(hidden: Hidden) -> Hidden:
        (images,) = hidden
        patches = encoder.patch_embed(images)
        return (patches if encoder.pos_embed is None else patches + encoder.pos_embed,)

    return EncoderStage(embed, (encoder.patch_embed,), ((side, side, config.hidden_size),), own=positions)


def blocks(model: SamModel) -> Sequence[EncoderBlock]:
    """See `PromptableSegmenter.blocks`; attention gives a tuple, most blocks attend in windows."""
    channels = model.config.vision_config.hidden_size
    return [
        EncoderBlock(stage=1 + place, module=layer, attention=layer.attn, mlp=layer.mlp, channels=channels)
        for place, layer in enumerate(model.vision_encoder.layers)
    ]


def linears(model: SamModel) -> Sequence[LinearSite]:
    """See `PromptableSegmenter.linears`."""
    count = len(model.vision_encoder.layers)
    in_encoder = encoder_linears("vision_encoder.layers", count, ENCODER_LINEARS)
    return [*in_encoder, *decoder_linears(model.mask_decoder)]


def decode(model: SamModel, features: ImageFeatures, objects: PromptedObjects, multimask: bool) -> ObjectMasks:
    """See `Family.decode`."""
    logits, iou = model.mask_decoder(
        image_embeddings=features.embedding[objects.images],
        image_positional_embeddings=objects.positions.expand(len(objects.images), -1, -1, -1),
        sparse_prompt_embeddings=objects.sparse,
        dense_prompt_embeddings=objects.dense,
        multimask_output=multimask,
    )
    return ObjectMasks(logits[:, 0], iou[:, 0])


FAMILY = Family("SAM", SamModel, spec, stages, blocks, linears, decode, at_input_size, empty_point=False)


def sam_segmenter(model: SamModel) -> Segmenter:
    """A segmenter of this family."""
    return Segmenter(model, FAMILY)
