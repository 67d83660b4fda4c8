"""What the card of a model says that answers clicks and boxes."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult

from adapt.hub.facts import CardFacts, Said
from adapt.hub.pages import figure, interval_cell, listed_names, page
from adapt.hub.stock import STOCK
from adapt.recipe import PromptSettings

TEMPLATE = "prompted.md.jinja"
MODELS = {"base": "untouched", "tuned": "tuned"}
TASK = "mask-generation"

PADDED = """\
inputs = processor(image, input_points=[[[120, 80]]], return_tensors="pt")  # or input_boxes=[[[x0, y0, x1, y1]]]
outputs = model(**inputs.to(model.dtype))
masks = processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])"""
STRETCHED = """\
inputs = processor(image, input_points=[[[[120, 80]]]], input_labels=[[[1]]], return_tensors="pt")
# or input_boxes=[[[x0, y0, x1, y1]]], with multimask_output=False for the model
outputs = model(**inputs.to(model.dtype))
masks = processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])"""
OURSELVES = """\
import numpy as np
import torch
from PIL import Image

from adapt.predict.asking import ask, encode
from adapt.predict.prompted import PromptedObject

image = np.asarray(Image.open("image.png").convert("RGB"))
features = encode(segmenter, image, torch.device("cpu"))
asked = [PromptedObject(clicks=((120, 80, 1),))]  # or PromptedObject(box=(x0, y0, x1, y1))
((_, answer),) = ask(segmenter, features, asked, height=image.shape[0], width=image.shape[1])
best = answer.mask  # of three candidates the most confident; (H, W) bool"""


def said(facts: CardFacts) -> Said:
    """See `Said`."""
    results = facts.results
    values = {
        "facts": facts,
        "results": results,
        "rows": _rows(results),
        "forgotten": _forgotten(results),
        "calibration": _calibration(results),
    }
    categories = {name for figures in results["protocols"].values() for name in figures["base"]["categories"]}
    return Said(
        task=TASK,
        answers="answers clicks and boxes with masks",
        example="A mask for a click",
        using=_using(facts),
        caution=STOCK[facts.family].caution,
        knows=f"Categories of its objects: {listed_names(sorted(categories))}.",
        training=_training(facts.recipe.prompts),
        results=page(TEMPLATE, values),
        figures=_figures(facts),
    )


def _using(facts: CardFacts) -> str:
    """Lines that ask for the object at a click in `image.png`."""
    if facts.why_ours:
        return OURSELVES
    asked = PADDED if STOCK[facts.family].image_processor == "SamImageProcessor" else STRETCHED
    return (
        'from PIL import Image\n\nimage = Image.open("image.png").convert("RGB")\n'
        f"{asked}\n"
        "best = masks[0][0, outputs.iou_scores[0, 0].argmax()]  # of three candidates the most confident; (H, W) bool"
    )


def _figures(facts: CardFacts) -> list[EvalResult]:
    """Both models under each protocol: mIoU with its interval, and Dice."""
    return [
        figure(
            facts,
            task=TASK,
            task_name="Promptable segmentation",
            metric=metric,
            name=f"{name}, {_protocol(protocol)}, {model} model",
            value=value,
            interval=interval,
        )
        for protocol, figures in facts.results["protocols"].items()
        for key, model in MODELS.items()
        if (of := figures.get(key)) is not None
        for metric, name, value, interval in (
            ("mean_iou", "mIoU", of["miou"], (of["low"], of["high"])),
            ("dice", "Dice", of["dice"], None),
        )
    ]


def _protocol(name: str) -> str:
    return name.replace("_", " ")


def _training(prompts: PromptSettings) -> str:
    """How training prompted, in a sentence."""
    first = {0.0: "clicks", 1.0: "boxes"}.get(prompts.box_chance, f"boxes ({prompts.box_chance:.0%}) or clicks")
    if not prompts.corrections:
        return f"Trained with single prompts, {first}; corrections by further clicks were not trained."
    return (
        f"Trained with {first} first, then {prompts.corrections} rounds of clicks on what was wrong, each with the "
        "logits of the answer before it as a mask prompt."
    )


def _rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the table of results: prompt, model, mIoU, interval, Dice."""
    rows = []
    for protocol, figures in results["protocols"].items():
        name = _protocol(protocol)
        if "box" in protocol:
            rows.append([name, "the box itself", f"{figures['box_as_mask']:.3f}", "", ""])
        for key, model in MODELS.items():
            if key in figures:
                of = figures[key]
                interval = interval_cell(of["low"], of["high"])
                rows.append([name, model, f"{of['miou']:.3f}", interval, f"{of['dice']:.3f}"])
        if "difference" in figures:
            of = figures["difference"]
            interval = interval_cell(of["low"], of["high"], signed=True)
            rows.append([name, "difference", f"{of['miou']:+.3f}", interval, f"{of['dice']['mean']:+.3f}"])
    return rows


def _forgotten(results: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the table of general images: prompt, untouched, tuned, difference, interval; none if not measured."""
    retention = results.get("retention")
    if not isinstance(retention, dict):
        return []
    return [
        [
            _protocol(protocol),
            f"{figures['base']['miou']:.3f}",
            f"{figures['tuned']['miou']:.3f}",
            f"{figures['difference']['miou']:+.3f}",
            interval_cell(figures["difference"]["low"], figures["difference"]["high"], signed=True),
        ]
        for protocol, figures in retention["protocols"].items()
        if "difference" in figures
    ]


def _calibration(results: Mapping[str, Any]) -> list[list[str]]:
    """Prompt, and the expected error of the predicted IoU of each model."""
    return [
        [_protocol(protocol), *(f"{figures[key]['calibration']['error']:.3f}" for key in MODELS if key in figures)]
        for protocol, figures in results["protocols"].items()
        if "tuned" in figures
    ]
