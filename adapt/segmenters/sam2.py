"""SAM 2 and 2.1 (Ravi et al., 2024) on images, over `transformers.Sam2Model`.

The encoder (Hiera) grows coarser in four steps; the decoder reads the finer maps as well. A single mask that is not
stable gives way to the best of the three candidates, but not in training.
"""

import copy
from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, Sam2Model

from adapt.errors import CheckpointError
from adapt.segmenters.family import Family, ObjectMasks, PromptedObjects
from adapt.segmenters.linears import decoder_linears, encoder_linears
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, Hidden, ImageFeatures, LinearSite, SegmenterSpec
from adapt.segmenters.sam import IMAGENET_MEAN, IMAGENET_STD
from adapt.segmenters.stages import block_stages

ENCODER_LINEARS = {
    "attn.qkv": ("query", "key", "value"),
    "attn.proj": ("proj",),
    "mlp.proj_in": ("mlp",),
    "mlp.proj_out": ("mlp",),
}
"""Linear layers of a block, and what they compute."""


def spec(model: PreTrainedModel) -> SegmenterSpec:
    """See `Family.spec`."""
    config = model.config
    size, patch = config.prompt_encoder_config.image_size, config.prompt_encoder_config.patch_size
    return SegmenterSpec(
        image_size=size,
        mask_size=4 * (size // patch),
        pixel_mean=IMAGENET_MEAN,
        pixel_std=IMAGENET_STD,
        candidates=config.mask_decoder_config.num_multimask_outputs,
        fit="stretch",
    )


def stages(model: Sam2Model) -> Sequence[EncoderStage]:
    """Patch embedding with positions; blocks, of which the last ones before it grows coarser are kept; the neck."""
    backbone, vision = model.vision_encoder.backbone, model.config.vision_config
    positions = (backbone.pos_embed, backbone.pos_embed_window)
    sides = _sides(model)

    def embed(hidden: Hidden) -> Hidden:
        (images,) = hidden
        patches = backbone.patch_embed(images)
        return (patches + backbone._get_pos_embed(patches.shape[1:3]),)

    def neck(hidden: Hidden) -> Hidden:
        return decoded_maps(model, model.vision_encoder.neck(hidden)[0][-vision.num_feature_levels :][::-1])

    shapes = [(side, side, block.dim_out) for side, block in zip(sides[1:], backbone.blocks, strict=True)]
    width = vision.fpn_hidden_size
    fine, finer, finest = sorted({side for side in sides})[-3:]
    return (
        EncoderStage(embed, (backbone.patch_embed,), ((sides[0], sides[0], backbone.blocks[0].dim),), own=positions),
        *block_stages(backbone.blocks, shapes, kept=backbone.stage_ends),
        EncoderStage(
            neck,
            (model.vision_encoder.neck,),
            ((width, fine, fine), (width, finest, finest), (width, finer, finer)),
            own=(model.no_memory_embedding,),
        ),
    )


def _sides(model: Sam2Model) -> list[int]:
    """Side of the grid of tokens behind the patch embedding, and behind each block."""
    backbone = model.config.vision_config.backbone_config
    first = model.config.prompt_encoder_config.image_size // backbone.patch_stride[0]
    coarser = (backbone.query_stride[0] if block.query_stride else 1 for block in model.vision_encoder.backbone.blocks)
    return list(accumulate(coarser, lambda side, stride: side // stride, initial=first))


def decoded_maps(model: PreTrainedModel, maps: Sequence[Tensor]) -> Hidden:
    """From the neck's maps, the finest first, to what is handed on: the coarsest one, then the finer ones.

    An image has no memory of earlier ones, for which the model has an embedding of its own.
    """
    *finer, last = maps
    return (last + model.no_memory_embedding.reshape(1, -1, 1, 1), *finer)


def blocks(model: Sam2Model) -> Sequence[EncoderBlock]:
    """See `PromptableSegmenter.blocks`; the first block behind each step of the grid pools, so its input differs."""
    return [
        EncoderBlock(stage=1 + place, module=block, attention=block.attn, mlp=block.mlp, channels=block.dim_out)
        for place, block in enumerate(model.vision_encoder.backbone.blocks)
    ]


def linears(model: Sam2Model) -> Sequence[LinearSite]:
    """See `PromptableSegmenter.linears`."""
    count = len(model.vision_encoder.backbone.blocks)
    in_encoder = encoder_linears("vision_encoder.backbone.blocks", count, ENCODER_LINEARS)
    return [*in_encoder, *decoder_linears(model.mask_decoder)]


def decode(model: PreTrainedModel, features: ImageFeatures, objects: PromptedObjects, multimask: bool) -> ObjectMasks:
    """See `Family.decode`. The decoder's own convolutions of the finer maps run once an image."""
    decoder, (finest, finer) = model.mask_decoder, features.further
    own = objects.conditioned
    logits, iou, tokens, presence = decoder(
        image_embeddings=features.embedding[objects.images] if own is None else own,
        image_positional_embeddings=objects.positions.expand(len(objects.images), -1, -1, -1),
        sparse_prompt_embeddings=objects.sparse,
        dense_prompt_embeddings=objects.dense,
        multimask_output=multimask,
        high_resolution_features=[decoder.conv_s0(finest)[objects.images], decoder.conv_s1(finer)[objects.images]],
    )
    return ObjectMasks(logits[:, 0], iou[:, 0], presence[:, 0, 0], tokens[:, 0])


def at_input_size(model: Sam2Model, size: int) -> Sam2Model:
    """The same weights for inputs of another size; the model itself brings its positions to the size of the grid."""
    return with_weights_of(model, resized_config(model, size))


def resized_config(model: PreTrainedModel, size: int) -> PretrainedConfig:
    """The configuration for inputs of another size.

    Raises:
        CheckpointError: the encoder cannot divide it.
    """
    backbone = model.config.vision_config.backbone_config
    steps = len(backbone.blocks_per_stage) - 1
    unit = backbone.patch_stride[0] * max(backbone.query_stride[0] ** steps, backbone.window_size_per_stage[0])
    check_multiple(size, unit)
    config = copy.deepcopy(model.config)
    factors = [
        side / config.prompt_encoder_config.image_size for side, _ in config.vision_config.backbone_feature_sizes
    ]
    config.vision_config.backbone_feature_sizes = [[round(size * factor)] * 2 for factor in factors]
    config.vision_config.backbone_config.image_size = [size, size]
    config.prompt_encoder_config.image_size = size
    return config


def check_multiple(size: int, unit: int) -> None:
    """Refuse an input size that the encoder cannot divide.

    Raises:
        CheckpointError: it is not a multiple.
    """
    if size % unit:
        raise CheckpointError(
            f"model.input_size {size} is not a multiple of {unit} pixels, which this model needs; take "
            f"{max(1, round(size / unit)) * unit}"
        )


def with_weights_of(model: PreTrainedModel, config: PretrainedConfig) -> PreTrainedModel:
    """A model of another configuration with the same weights."""
    resized = type(model)(config)
    resized.load_state_dict(model.state_dict())
    return resized


FAMILY = Family("SAM 2", Sam2Model, spec, stages, blocks, linears, decode, at_input_size)
