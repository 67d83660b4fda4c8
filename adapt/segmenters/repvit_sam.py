"""EdgeSAM (Zhou et al., 2024) and RepViT-SAM (Wang et al., 2023): RepViT, and SAM's own prompt encoder and decoder.

The encoder is built of convolutions: it has no blocks that adapters or LoRA can be put into.
"""

from collections.abc import Sequence

from transformers import PreTrainedModel

from adapt.architectures import EdgeSamModel, RepVitSamModel
from adapt.segmenters import sam
from adapt.segmenters.family import Family
from adapt.segmenters.linears import decoder_linears
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, Hidden, LinearSite
from adapt.segmenters.resized import resized
from adapt.segmenters.stages import part_stages


def stages(model: PreTrainedModel) -> Sequence[EncoderStage]:
    """The stem; each block; the neck, which in EdgeSAM reads the last map of the layer before the last one as well."""
    encoder, vision = model.vision_encoder, model.config.vision_config
    coarsest = vision.image_size // vision.unit
    sides = [max(coarsest, vision.image_size // (4 << layer)) for layer in range(len(vision.widths))]
    shapes = [
        (width, side, side)
        for width, side, depth in zip(vision.widths, sides, vision.depths, strict=True)
        for _ in range(depth)
    ]
    embedding = model.config.prompt_encoder_config.image_embedding_size

    def neck(hidden: Hidden) -> Hidden:
        return (encoder.neck(*hidden),)

    parts = [(encoder.stem,), *((block,) for block in encoder.blocks)]
    kept = {1 + encoder.fine} if vision.fused else set()  # the stem is the first part
    return (
        *part_stages(parts, [shapes[0], *shapes], kept=kept),
        EncoderStage(neck, (encoder.neck,), ((vision.output_channels, embedding, embedding),)),
    )


def blocks(model: PreTrainedModel) -> Sequence[EncoderBlock]:
    """None."""
    return ()


def linears(model: PreTrainedModel) -> Sequence[LinearSite]:
    """Those of the mask decoder."""
    return decoder_linears(model.mask_decoder)


def at_input_size(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """See `Family.at_input_size`: convolutions have no positions."""
    return resized(model, size, unit=model.config.vision_config.unit)


EDGE_SAM = Family(
    "EdgeSAM", EdgeSamModel, sam.spec, stages, blocks, linears, sam.decode, at_input_size, empty_point=False
)
REPVIT_SAM = Family(
    "RepViT-SAM", RepVitSamModel, sam.spec, stages, blocks, linears, sam.decode, at_input_size, empty_point=False
)
