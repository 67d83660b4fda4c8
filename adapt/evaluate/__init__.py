"""How much better the tuned model is than the untouched one, and how sure we are."""

from adapt.evaluate.gallery import Picture, draw_gallery
from adapt.evaluate.html import ReportFacts, write_report
from adapt.evaluate.results import Results, summarise
from adapt.evaluate.scoring import Measures, ObjectScore, score_samples
from adapt.evaluate.tables import MODELS, print_table, write_tables

__all__ = [
    "MODELS",
    "Measures",
    "ObjectScore",
    "Picture",
    "ReportFacts",
    "Results",
    "draw_gallery",
    "print_table",
    "score_samples",
    "summarise",
    "write_report",
    "write_tables",
]
