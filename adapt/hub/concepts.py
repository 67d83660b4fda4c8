"""What the card of a SAM 3 says that finds all objects of a phrase."""

from collections.abc import Mapping
from typing import Any

from adapt.concepts import words_for
from adapt.hub.facts import CardFacts, Said
from adapt.hub.markdown import one_line
from adapt.hub.pages import figure, interval_cell, listed_names, page
from adapt.hub.portable import portable_text

TEMPLATE = "concepts.md.jinja"
TASK = "mask-generation"
FIGURES = ("found", "matched_iou", "region_iou", "ap", "ap50")
USING = """\
import torch
from PIL import Image

image = Image.open("image.png").convert("RGB")
inputs = processor(images=image, text={phrase!r}, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
(found,) = processor.post_process_instance_segmentation(
    outputs, threshold={threshold}, target_sizes=[(image.height, image.width)]
)
masks, scores = found["masks"], found["scores"]  # (N, H, W), (N,): all of its objects"""


def said(facts: CardFacts) -> Said:
    """See `Said`."""
    results, text = facts.results, facts.recipe.text
    names = results["categories"]
    asked_as = [one_line(portable_text(words)) for words in words_for(names, text.phrases)]
    values = {
        "facts": facts,
        "results": results,
        "rows": _rows(results),
        "details": [_details(row) for row in results["text"]],
    }
    return Said(
        task=TASK,
        answers="finds all objects of a phrase in an image, without clicks and boxes",
        example="All objects of a phrase",
        using=USING.format(phrase=asked_as[0], threshold=text.concept_threshold),
        caution="",
        knows=f"Phrases that it was tuned on: {listed_names(asked_as)}.",
        training="Asked for the categories that an image shows, and for some that it does not; labels were complete.",
        results=page(TEMPLATE, values),
        figures=[
            figure(
                facts,
                task=TASK,
                task_name="Segmentation by phrases",
                metric="mean_iou",
                name=f"mIoU, {row['model']} model",
                value=row["miou"],
                interval=(row["low"], row["high"]),
            )
            for row in results["text"]
        ],
    )


def _rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the first table: model, mIoU, interval; the last row is the difference."""
    rows = [[of["model"], f"{of['miou']:.3f}", interval_cell(of["low"], of["high"])] for of in results["text"]]
    return rows + [
        ["difference", f"{of['miou']:+.3f}", interval_cell(of["low"], of["high"], signed=True)]
        for of in results["text_difference"]
    ]


def _details(row: Mapping[str, Any]) -> list[str]:
    """Cells of the second table: model, masks of an image, stray ones, and the figures."""
    figures = ["-" if row[name] is None else f"{row[name]:.3f}" for name in FIGURES]
    return [row["model"], f"{row['masks']:.1f}", f"{row['stray']:.1f}", *figures]
