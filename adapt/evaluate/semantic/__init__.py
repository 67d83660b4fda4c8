"""Label maps of fixed classes on the test split: scores, figures, tables, pictures and report."""

from adapt.evaluate.semantic.figures import ClassFigures, SemanticResults, summarise_classes
from adapt.evaluate.semantic.gallery import ClassPicture, draw_label_maps
from adapt.evaluate.semantic.report import write_class_report
from adapt.evaluate.semantic.scoring import ClassScore, score_label_maps
from adapt.evaluate.semantic.tables import class_rows, print_classes, write_classes

__all__ = [
    "ClassFigures",
    "ClassPicture",
    "ClassScore",
    "SemanticResults",
    "class_rows",
    "draw_label_maps",
    "print_classes",
    "score_label_maps",
    "summarise_classes",
    "write_class_report",
    "write_classes",
]
