"""Models that plain `transformers` has no class for: Segment Anything behind other encoders, from its own parts.

They are written and read as the stock ones are (`config.json`, `model.safetensors`, nothing that is executed); the
`model_type` of their configuration is this project's own.
"""

from adapt.architectures.efficient_sam import EfficientSamConfig, EfficientSamModel
from adapt.architectures.promptable import PromptableModel
from adapt.architectures.repvit import EdgeSamConfig, EdgeSamModel, RepVitConfig, RepVitSamConfig, RepVitSamModel
from adapt.architectures.tiny_vit import MobileSamConfig, MobileSamModel, TinyVitConfig

__all__ = [
    "EdgeSamConfig",
    "EdgeSamModel",
    "EfficientSamConfig",
    "EfficientSamModel",
    "MobileSamConfig",
    "MobileSamModel",
    "PromptableModel",
    "RepVitConfig",
    "RepVitSamConfig",
    "RepVitSamModel",
    "TinyVitConfig",
]
