"""How much better the tuned model is than the untouched one, and how sure we are."""

from adapt.evaluate.gallery import draw_gallery
from adapt.evaluate.html import ReportFacts, write_report
from adapt.evaluate.results import Results
from adapt.evaluate.scoring import Measures, ObjectScore, score_samples
from adapt.evaluate.summary import summarise
from adapt.evaluate.tables import MODELS, print_table, write_tables
from adapt.evaluate.volumes import VolumeScore, volume_scores

__all__ = [
    "MODELS",
    "Measures",
    "ObjectScore",
    "ReportFacts",
    "Results",
    "VolumeScore",
    "draw_gallery",
    "print_table",
    "score_samples",
    "summarise",
    "volume_scores",
    "write_report",
    "write_tables",
]
