"""EfficientSAM (Xiong et al., 2024), Ti and S: SAM's plain ViT, and a decoder of its own.

Everything about its encoder is as in SAM; see `adapt.architectures.efficient_sam` for what is not. The image is
stretched to the square.
"""

from dataclasses import replace

from adapt.architectures import EfficientSamModel
from adapt.segmenters import sam
from adapt.segmenters.family import Family
from adapt.segmenters.input_size import at_input_size
from adapt.segmenters.protocol import SegmenterSpec


def spec(model: EfficientSamModel) -> SegmenterSpec:
    """See `Family.spec`."""
    return replace(sam.spec(model), fit="stretch")


FAMILY = Family("EfficientSAM", EfficientSamModel, spec, sam.stages, sam.blocks, sam.linears, sam.decode, at_input_size)
