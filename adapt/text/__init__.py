"""Text prompts: models that find what a phrase names."""

from adapt.text.clip import ClipEmbedder, clip_width, find_clip
from adapt.text.concepts import (
    PhraseReader,
    find_concepts,
    has_concepts,
    load_concepts,
    masks_of_concepts,
    read_phrases,
)
from adapt.text.grounding import GroundingDetector, TextBox
from adapt.text.masks import TextMask

__all__ = [
    "ClipEmbedder",
    "GroundingDetector",
    "PhraseReader",
    "TextBox",
    "TextMask",
    "clip_width",
    "find_clip",
    "find_concepts",
    "has_concepts",
    "load_concepts",
    "masks_of_concepts",
    "read_phrases",
]
