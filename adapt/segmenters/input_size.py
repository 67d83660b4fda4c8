"""The same weights for an input of another size: what a ViT knows of positions is interpolated.

Source: An image is worth 16x16 words (Dosovitskiy et al., 2021), section 3.2, for absolute positions; the relative ones
of layers that attend globally likewise, as ViTDet does (Li et al., 2022). Layers that attend in windows do not change.
"""

import copy

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SamHQModel, SamModel

from adapt.architectures import EfficientSamModel
from adapt.errors import CheckpointError


@torch.no_grad()
def at_input_size(
    model: SamModel | SamHQModel | EfficientSamModel, size: int
) -> SamModel | SamHQModel | EfficientSamModel:
    """A model for inputs of `size` pixels a side, in the mode of `model`; `model` itself if it has that size.

    Args:
        model: left as it is.
        size: a multiple of the patch size.

    Raises:
        CheckpointError: it is not a multiple.
    """
    vision = model.config.vision_config
    if size == vision.image_size:
        return model
    if size % vision.patch_size:
        raise CheckpointError(
            f"model.input_size {size} is not a multiple of the model's patch of {vision.patch_size} pixels; "
            f"take {max(1, round(size / vision.patch_size)) * vision.patch_size}"
        )
    config = copy.deepcopy(model.config)
    grid = size // vision.patch_size
    config.vision_config.image_size = config.prompt_encoder_config.image_size = size
    config.prompt_encoder_config.image_embedding_size = grid
    state = model.state_dict()
    state["vision_encoder.pos_embed"] = _absolute(state["vision_encoder.pos_embed"], grid)
    for layer in vision.global_attn_indexes if vision.use_rel_pos else ():
        for axis in "hw":
            name = f"vision_encoder.layers.{layer}.attn.rel_pos_{axis}"
            state[name] = _relative(state[name], grid)
    resized = type(model)(config)
    resized.load_state_dict(state)
    return resized.train(model.training)


def _absolute(positions: Tensor, grid: int) -> Tensor:
    """(1, h, w, C) to (1, grid, grid, C)."""
    resized = functional.interpolate(positions.permute(0, 3, 1, 2), (grid, grid), mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1)


def _relative(positions: Tensor, grid: int) -> Tensor:
    """(2 h - 1, C), a row a distance, to (2 * grid - 1, C)."""
    resized = functional.interpolate(positions.T[None], 2 * grid - 1, mode="linear", align_corners=False)
    return resized[0].T
