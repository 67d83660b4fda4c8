"""Prompts: what a user would click or draw, simulated for training and fixed for evaluation."""

from adapt.prompts.fixed import center_points, tight_boxes
from adapt.prompts.prompts import PADDING, Prompts, box_prompts, point_prompts
from adapt.prompts.simulate import PromptSimulation, draw_clicks, draw_prompts, jitter_boxes

__all__ = [
    "PADDING",
    "PromptSimulation",
    "Prompts",
    "box_prompts",
    "center_points",
    "draw_clicks",
    "draw_prompts",
    "jitter_boxes",
    "point_prompts",
    "tight_boxes",
]
