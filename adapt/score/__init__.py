"""Scores of predictions that any program has made, against a truth: files in, figures out; no model, no recipe."""

from adapt.score.edges import score_edges
from adapt.score.figures import ClassFigures, Figures, summarise
from adapt.score.scenes import Scene, coco_scenes, label_map_scenes, read_scenes
from adapt.score.tables import as_json, print_edges, print_figures

__all__ = [
    "ClassFigures",
    "Figures",
    "Scene",
    "as_json",
    "coco_scenes",
    "label_map_scenes",
    "print_edges",
    "print_figures",
    "read_scenes",
    "score_edges",
    "summarise",
]
