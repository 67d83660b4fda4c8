"""A model with fresh weights, from which training gets somewhere.

`SamModel(config)` as it comes does not: its encoder is drawn with a standard deviation of 1e-10, the frequencies that
place points are scaled by `hidden_size // 2` (1 in the original), and its decoder has small weights throughout.
"""

import copy

import torch
from torch import nn
from transformers import SamConfig, SamModel

STD = 0.02
"""Of the encoder's weights, as ViT has it."""


def initialised(config: SamConfig, *, seed: int) -> SamModel:
    """A model with random weights, in eval mode; the same on every call and every machine."""
    config = copy.deepcopy(config)
    config.vision_config.initializer_range = STD
    config.vision_config.scale = 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SamModel(config)
        for module in model.mask_decoder.modules():
            if isinstance(module, nn.Linear | nn.ConvTranspose2d):
                module.reset_parameters()  # torch's own initialisation; 0.02 leaves a decoder that hardly learns
    return model.eval()
