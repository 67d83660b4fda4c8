"""Promptable segmenters: one interface, one thin class a family, chosen by the checkpoint."""

from adapt.segmenters.checkpoint import load_segmenter
from adapt.segmenters.protocol import ImageFeatures, MaskPredictions, PromptableSegmenter, SegmenterSpec

__all__ = ["ImageFeatures", "MaskPredictions", "PromptableSegmenter", "SegmenterSpec", "load_segmenter"]
