"""Promptable segmenters: one interface, one thin class a family, chosen by the checkpoint."""

from adapt.segmenters.checkpoint import TINY, load_segmenter, random_segmenter
from adapt.segmenters.protocol import ImageFeatures, MaskPredictions, PromptableSegmenter, SegmenterSpec
from adapt.segmenters.tiny import TINY_NOTE

__all__ = [
    "TINY",
    "TINY_NOTE",
    "ImageFeatures",
    "MaskPredictions",
    "PromptableSegmenter",
    "SegmenterSpec",
    "load_segmenter",
    "random_segmenter",
]
