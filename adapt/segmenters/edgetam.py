"""EdgeTAM (Zhou et al., 2025) on images, over `transformers.EdgeTamModel`: RepViT, and the decoder of SAM 2.

The encoder comes from timm, and is built of convolutions: it has no blocks that adapters or LoRA can be put into.
"""

import copy
from collections.abc import Container, Sequence

from torch import nn
from transformers import EdgeTamModel

from adapt.segmenters import sam2
from adapt.segmenters.family import Family
from adapt.segmenters.linears import decoder_linears
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, Hidden, LinearSite
from adapt.segmenters.stages import part_stages

COARSEST = 32
"""Pixels of the image for one of the coarsest map."""


def stages(model: EdgeTamModel) -> Sequence[EncoderStage]:
    """The parts of the backbone up to each map that the neck reads; the neck."""
    backbone, neck, vision = (
        model.vision_encoder.backbone.timm_model,
        model.vision_encoder.neck,
        model.config.vision_config,
    )
    size = model.config.prompt_encoder_config.image_size
    shapes = [
        (facts["num_chs"], size // facts["reduction"], size // facts["reduction"])
        for facts in backbone.feature_info.get_dicts()
    ]

    def run_neck(hidden: Hidden) -> Hidden:
        maps = [values.permute(0, 2, 3, 1) for values in hidden]
        return sam2.decoded_maps(model, neck(maps)[0][-vision.num_feature_levels :][::-1])

    parts = _parts(backbone, backbone.return_layers)
    finest, finer, fine = ((vision.fpn_hidden_size, *shape[1:]) for shape in shapes[: vision.num_feature_levels])
    return (
        *part_stages(parts, shapes, kept=range(len(parts))),
        EncoderStage(run_neck, (neck,), (fine, finest, finer), own=(model.no_memory_embedding,)),
    )


def _parts(backbone: nn.ModuleDict, returned: Container[str]) -> list[tuple[nn.Module, ...]]:
    """The backbone, cut behind each module whose output it returns."""
    parts: list[tuple[nn.Module, ...]] = []
    begun: list[nn.Module] = []
    for name, module in backbone.items():
        begun.append(module)
        if name in returned:
            parts.append(tuple(begun))
            begun = []
    return parts


def blocks(model: EdgeTamModel) -> Sequence[EncoderBlock]:
    """None."""
    return ()


def linears(model: EdgeTamModel) -> Sequence[LinearSite]:
    """Those of the mask decoder."""
    return decoder_linears(model.mask_decoder)


def at_input_size(model: EdgeTamModel, size: int) -> EdgeTamModel:
    """The same weights for inputs of another size: convolutions have no positions."""
    sam2.check_multiple(size, COARSEST)
    config = copy.deepcopy(model.config)
    config.vision_config.backbone_feature_sizes = [[size // part] * 2 for part in (4, 8, 16)]
    config.prompt_encoder_config.image_size = size
    return sam2.with_weights_of(model, config)


FAMILY = Family("EdgeTAM", EdgeTamModel, sam2.spec, stages, blocks, linears, sam2.decode, at_input_size)
