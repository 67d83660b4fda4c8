"""How much better the tuned model is than the untouched one, and how sure we are."""

from adapt.evaluate.automatic import AutomaticScore, mask_ious, score_automatic, summarise_automatic
from adapt.evaluate.following import ImageFindings, summarise_following
from adapt.evaluate.forgetting import FORGETTING_HEADER, forgetting_rows, forgetting_text
from adapt.evaluate.gallery import Picture, draw_gallery
from adapt.evaluate.html import ReportFacts, write_report
from adapt.evaluate.prompt_check import check_following, choose_images
from adapt.evaluate.results import Automatic, Results, Retention
from adapt.evaluate.scoring import (
    EncodedSample,
    Measures,
    ObjectScore,
    encode_images,
    encode_sample,
    encode_samples,
    score_encoded,
    score_samples,
    shared_stages,
)
from adapt.evaluate.summary import mious, summarise
from adapt.evaluate.tables import MODELS, print_table, write_tables
from adapt.evaluate.text_report import write_text_report
from adapt.evaluate.text_tables import print_text_results, write_text_results
from adapt.evaluate.texts import TextFigures, TextResults, text_results
from adapt.evaluate.tradeoff import Mix, print_trade_off, write_trade_off
from adapt.evaluate.volumes import VolumeScore, volume_scores

__all__ = [
    "FORGETTING_HEADER",
    "MODELS",
    "Automatic",
    "AutomaticScore",
    "EncodedSample",
    "ImageFindings",
    "Measures",
    "Mix",
    "ObjectScore",
    "Picture",
    "ReportFacts",
    "Results",
    "Retention",
    "TextFigures",
    "TextResults",
    "VolumeScore",
    "check_following",
    "choose_images",
    "draw_gallery",
    "encode_images",
    "encode_sample",
    "encode_samples",
    "forgetting_rows",
    "forgetting_text",
    "mask_ious",
    "mious",
    "print_table",
    "print_text_results",
    "print_trade_off",
    "score_automatic",
    "score_encoded",
    "score_samples",
    "shared_stages",
    "summarise",
    "summarise_automatic",
    "summarise_following",
    "text_results",
    "volume_scores",
    "write_report",
    "write_tables",
    "write_text_report",
    "write_text_results",
    "write_trade_off",
]
