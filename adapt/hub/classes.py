"""What the card of a model says that gives each pixel one of its classes, without prompts."""

from adapt.hub.facts import CardFacts, Said
from adapt.hub.pages import figure, interval_cell, listed_names, page
from adapt.hub.stock import STOCK
from adapt.recipe.semantic import BACKGROUND

TEMPLATE = "classes.md.jinja"
TASK = "image-segmentation"
MEAN = "mean of classes"

PADDED = """\
inputs = processor(image, return_tensors="pt")
maps = model(inputs["pixel_values"].to(model.dtype)).pred_masks  # (1, 1, 1 + classes, h, w), the background first
full = processor.post_process_masks(
    maps, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
)"""
STRETCHED = """\
inputs = processor(image, return_tensors="pt")
maps = model(inputs["pixel_values"].to(model.dtype)).pred_masks  # (1, 1, 1 + classes, h, w), the background first
full = processor.post_process_masks(maps, inputs["original_sizes"], binarize=False)"""
OURSELVES = """\
import numpy as np
import torch
from PIL import Image

from adapt.semantic import answered

image = np.asarray(Image.open("image.png").convert("RGB"))
with torch.no_grad():
    maps = segmenter.classify(segmenter.encode(segmenter.spec.to_model_frame(image)[None]))[0]
labels = answered(maps, segmenter.spec.frame(*image.shape[:2]))  # (H, W); segmenter.classes: from 1 on"""


def said(facts: CardFacts) -> Said:
    """See `Said`."""
    names = facts.recipe.semantic.classes
    figures = facts.results["semantic"]
    scored = {MEAN: figures["mean"], **figures["classes"], BACKGROUND: figures["background"]}
    rows = [[name, *_cells(of)] for name, of in scored.items()]
    values = {"facts": facts, "rows": rows, "images": figures["images"], "groups": len(figures["groups"])}
    return Said(
        task=TASK,
        answers=f"gives each pixel one of {len(names)} classes or the background, without prompts",
        example="A label map",
        using=_using(facts),
        caution="",
        knows=f"Classes, from 1 on in a label map, in which 0 is the background: {listed_names(names)}.",
        training="Trained without prompts, on label maps: cross-entropy and Dice over its classes and the background.",
        results=page(TEMPLATE, values),
        figures=[
            figure(
                facts,
                task=TASK,
                task_name="Semantic segmentation",
                metric=metric,
                name=f"{title}, {MEAN}",
                value=figures["mean"][key],
                interval=interval,
            )
            for metric, title, key, interval in (
                ("mean_iou", "mIoU", "iou", (figures["mean"]["low"], figures["mean"]["high"])),
                ("dice", "Dice", "dice", None),
            )
            if figures["mean"][key] is not None
        ],
    )


def _using(facts: CardFacts) -> str:
    """Lines that give the label map of `image.png`."""
    if facts.why_ours:
        return OURSELVES
    asked = PADDED if STOCK[facts.family].image_processor == "SamImageProcessor" else STRETCHED
    return (
        'from PIL import Image\n\nimage = Image.open("image.png").convert("RGB")\n'
        f"{asked}\n"
        "labels = full[0][0].argmax(0)  # (H, W): model.config.id2label names the values"
    )


def _cells(of: dict[str, float | None]) -> list[str]:
    iou, dice = ("none" if value is None else f"{value:.3f}" for value in (of["iou"], of["dice"]))
    return [iou, interval_cell(of["low"], of["high"]), dice, str(of["groups"])]
