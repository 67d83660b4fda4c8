"""A model with fresh weights, from which training gets somewhere.

`SamModel(config)` as it comes does not: its encoder is drawn with a standard deviation of 1e-10, the frequencies that
place points are scaled by `hidden_size // 2` (1 in the original), and its decoder has small weights throughout. A
`Sam2Model(config)` would place points and pixels by frequencies of their own, each drawn for itself.
"""

import copy

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, SamModel

STD = 0.02
"""Of the encoder's weights, as ViT has it."""


def initialised(config: PretrainedConfig, *, seed: int, of: type[PreTrainedModel] = SamModel) -> PreTrainedModel:
    """A model of a class with random weights, in eval mode; the same on every call and every machine."""
    config = copy.deepcopy(config)
    config.vision_config.initializer_range = STD
    if hasattr(config.vision_config, "scale"):
        config.vision_config.scale = 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = of(config)
        for module in model.mask_decoder.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                module.reset_parameters()  # torch's own initialisation; 0.02 leaves a decoder that hardly learns
    of_points, of_pixels = (
        part.positional_embedding for part in (model.prompt_encoder.shared_embedding, model.shared_image_embedding)
    )
    of_points.data.copy_(of_pixels.data)
    return model.eval()
