"""Prompts: what a user would click or draw, simulated for training and fixed for evaluation."""

from adapt.prompts.corrections import Session, draw_corrections, idle_rounds
from adapt.prompts.draws import draw_keys, mix, object_keys, uniform
from adapt.prompts.fixed import center_points, correction_points, tight_boxes
from adapt.prompts.prompts import LARGEST_LOGIT, PADDING, Prompts, box_prompts, no_prompts, point_prompts
from adapt.prompts.simulate import (
    REFERENCE_SIZE,
    PromptSimulation,
    draw_clicks,
    draw_embeddings,
    draw_prompts,
    jitter_boxes,
)

__all__ = [
    "LARGEST_LOGIT",
    "PADDING",
    "REFERENCE_SIZE",
    "PromptSimulation",
    "Prompts",
    "Session",
    "box_prompts",
    "center_points",
    "correction_points",
    "draw_clicks",
    "draw_corrections",
    "draw_embeddings",
    "draw_keys",
    "draw_prompts",
    "idle_rounds",
    "jitter_boxes",
    "mix",
    "no_prompts",
    "object_keys",
    "point_prompts",
    "tight_boxes",
    "uniform",
]
