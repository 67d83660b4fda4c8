"""Promptable segmenters: one interface, one thin class a family, chosen by the checkpoint."""

from adapt.segmenters.attention import fold_attention
from adapt.segmenters.checkpoint import TINY, check_checkpoint, load_segmenter, random_segmenter
from adapt.segmenters.concepts import ConceptAnswers, ConceptDetector, Texts
from adapt.segmenters.memory import Bank, Memory, ObjectMemory, Recalled, together
from adapt.segmenters.protocol import (
    EncoderBlock,
    EncoderStage,
    Hidden,
    ImageFeatures,
    LinearSite,
    MaskPredictions,
    PromptableSegmenter,
    SegmenterSpec,
    encoder_trains,
    freeze_boundary,
)
from adapt.segmenters.segmenter import Segmenter, detector_of, memory_of
from adapt.segmenters.tiny import TINY_NOTE
from adapt.segmenters.tiny_video import NAME as TINY_VIDEO
from adapt.segmenters.tiny_video import NOTE as TINY_VIDEO_NOTE

__all__ = [
    "TINY",
    "TINY_NOTE",
    "TINY_VIDEO",
    "TINY_VIDEO_NOTE",
    "Bank",
    "ConceptAnswers",
    "ConceptDetector",
    "EncoderBlock",
    "EncoderStage",
    "Hidden",
    "ImageFeatures",
    "LinearSite",
    "MaskPredictions",
    "Memory",
    "ObjectMemory",
    "PromptableSegmenter",
    "Recalled",
    "Segmenter",
    "SegmenterSpec",
    "Texts",
    "check_checkpoint",
    "detector_of",
    "encoder_trains",
    "fold_attention",
    "freeze_boundary",
    "load_segmenter",
    "memory_of",
    "random_segmenter",
    "together",
]
