"""MobileSAM (Zhang et al., 2023) and TinySAM (Shu et al., 2023): TinyViT, and SAM's own prompt encoder and decoder."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from adapt.architectures import MobileSamModel
from adapt.segmenters import sam
from adapt.segmenters.family import Family
from adapt.segmenters.protocol import EncoderBlock, EncoderStage
from adapt.segmenters.resized import resized
from adapt.segmenters.stages import part_stages

EMBEDDING_STRIDE = 16
"""Pixels of the image for one of the image embedding, which has the coarsest grid of all."""


def stages(model: PreTrainedModel) -> Sequence[EncoderStage]:
    """The convolutions in front of the blocks; each block, with the merging behind it; the neck."""
    vision = model.config.vision_config
    _, *widths = vision.widths
    shapes = []
    for layer, (width, depth) in enumerate(zip(widths, vision.depths[1:], strict=True)):
        side = vision.image_size // min(EMBEDDING_STRIDE, 8 << layer)
        shapes += [(side, side, width)] * depth  # what each block reads, and so what the part before it hands on
    side = vision.image_size // EMBEDDING_STRIDE
    shapes += [(side, side, widths[-1]), (vision.output_channels, side, side)]
    return part_stages(model.vision_encoder.parts(), shapes)


def blocks(model: PreTrainedModel) -> Sequence[EncoderBlock]:
    """See `PromptableSegmenter.blocks`; all attend in windows."""
    return [
        EncoderBlock(1 + place, layer, attention=layer.attn, mlp=layer.mlp, channels=layer.mlp.lin1.in_features)
        for place, layer in enumerate(model.vision_encoder.layers)
    ]


def at_input_size(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """See `Family.at_input_size`: positions are those in a window."""
    return resized(model, size, unit=EMBEDDING_STRIDE)


FAMILY = Family(
    "MobileSAM", MobileSamModel, sam.spec, stages, blocks, sam.linears, sam.decode, at_input_size, empty_point=False
)
