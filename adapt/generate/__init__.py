"""Masks without prompts: everything in an image, by a grid of clicks."""

from adapt.generate.automatic import Generation, generate, generate_masks
from adapt.generate.candidates import Funnel
from adapt.generate.fitting import Candidates, Fitted, Thresholds, best_thresholds, unfiltered
from adapt.generate.label_map import label_map, visible_parts
from adapt.generate.masks import GeneratedMask, Rle, boxes_of
from adapt.generate.suppression import suppress

__all__ = [
    "Candidates",
    "Fitted",
    "Funnel",
    "GeneratedMask",
    "Generation",
    "Rle",
    "Thresholds",
    "best_thresholds",
    "boxes_of",
    "generate",
    "generate_masks",
    "label_map",
    "suppress",
    "unfiltered",
    "visible_parts",
]
