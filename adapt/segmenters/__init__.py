"""Promptable segmenters: one interface, one thin class a family, chosen by the checkpoint."""

from adapt.segmenters.attention import fold_positions
from adapt.segmenters.checkpoint import TINY, load_segmenter, random_segmenter
from adapt.segmenters.protocol import (
    EncoderBlock,
    EncoderStage,
    Hidden,
    ImageFeatures,
    LinearSite,
    MaskPredictions,
    PromptableSegmenter,
    SegmenterSpec,
    freeze_boundary,
)
from adapt.segmenters.tiny import TINY_NOTE

__all__ = [
    "TINY",
    "TINY_NOTE",
    "EncoderBlock",
    "EncoderStage",
    "Hidden",
    "ImageFeatures",
    "LinearSite",
    "MaskPredictions",
    "PromptableSegmenter",
    "SegmenterSpec",
    "fold_positions",
    "freeze_boundary",
    "load_segmenter",
    "random_segmenter",
]
