"""The card of a pushed model: its README.md, with the figures where the Hub reads them (`model-index`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined

from adapt.families import OWN_FAMILIES
from adapt.hub.markdown import fenced, one_line, plain
from adapt.hub.portable import is_embedded, is_hub_id, portable_text
from adapt.hub.stock import STOCK
from adapt.recipe import CardSettings, PromptSettings, Recipe, as_yaml
from adapt.segmenters import TINY_VIDEO, TINY_VIDEO_NOTE

TEMPLATE = "card.md.jinja"
MODELS = {"base": "untouched", "tuned": "tuned"}
TASK = "mask-generation"


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        repo: owner/name.
        recipe: portable.
        left_out: key paths of the recipe that are not as they were.
        name: of the recipe.
        results: portable `results.json`.
        family: of `adapt.families`.
        input_size: side of the model's input, pixels.
        base_commit: Hub commit of the base model, if it came from there.
        adapter: whether an adapter is pushed, and no merged model.
        pictures: paths in the repository.
        version: of this package.
    """

    repo: str
    recipe: Recipe
    left_out: Sequence[str]
    name: str
    results: Mapping[str, Any]
    family: str
    input_size: int
    base_commit: str | None
    adapter: bool
    pictures: Sequence[str]
    version: str


def card_text(facts: CardFacts) -> str:
    """Markdown with its YAML head; no text of the recipe or the results can end a block, or be more than text."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["plain"] = lambda text: plain(portable_text(text))
    template = resources.files("adapt.hub").joinpath(TEMPLATE).read_text(encoding="utf-8")
    results = facts.results
    page: str = environment.from_string(template).render(
        facts=facts,
        card=facts.recipe.hub.card,
        title=title(facts),
        metadata=_metadata(facts).to_yaml(line_break="\n"),
        base=_base(facts),
        kind=facts.recipe.data.kind,
        categories=_categories(results),
        loading=fenced(loading_code(facts), "python"),
        using=fenced(f"{loading_code(facts)}\n\n{using_code(facts.family)}", "python"),
        stock=STOCK[facts.family],
        plain=facts.family not in OWN_FAMILIES,
        prompts=_prompts(facts.recipe.prompts),
        tuning=facts.recipe.tuning.mode.replace("_", " "),
        rows=_rows(results),
        forgotten=_forgotten(results),
        calibration=_calibration(results),
        recipe=fenced(as_yaml(facts.recipe), "yaml"),
    )
    return page


def title(facts: CardFacts) -> str:
    """Of the card."""
    return one_line(facts.recipe.hub.card.title or f"Segment Anything, fine-tuned: {facts.name}")


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


def using_code(family: str) -> str:
    """Lines that ask what `loading_code` has loaded for the object at a click in `image.png`."""
    if family in OWN_FAMILIES:
        return OURSELVES
    asked = PADDED if STOCK[family].image_processor == "SamImageProcessor" else STRETCHED
    return (
        'from PIL import Image\n\nimage = Image.open("image.png").convert("RGB")\n'
        f"{asked}\n"
        "best = masks[0][0, outputs.iou_scores[0, 0].argmax()]  # of three candidates the most confident; (H, W) bool"
    )


def loading_code(facts: CardFacts, *, revision: str | None = None) -> str:
    """Lines that load the model and its processor, of a revision or the newest; if it can be, without this package."""
    at = "" if revision is None else f', revision="{revision}"'
    if facts.family in OWN_FAMILIES:
        return f'from adapt.segmenters import load_segmenter\n\nsegmenter = load_segmenter("{facts.repo}"{at})'
    stock = STOCK[facts.family]
    model = stock.model.__name__
    imports = f"from transformers import {model}, {stock.processor}\n"
    processor = f'processor = {stock.processor}.from_pretrained("{facts.repo}"{at})'
    if not facts.adapter:
        return f'{imports}model = {model}.from_pretrained("{facts.repo}"{at})\n{processor}'
    base_at = f', revision="{facts.base_commit}"' if facts.base_commit else ""
    # the adapter was trained on float32, whatever the base is kept in
    base = f'{model}.from_pretrained("{facts.recipe.model.checkpoint}"{base_at}, dtype="float32")'
    return (
        f"from peft import PeftModel\n{imports}"
        f'model = PeftModel.from_pretrained({base}, "{facts.repo}"{at})\n{processor}'
    )


def _metadata(facts: CardFacts) -> ModelCardData:
    card, checkpoint = facts.recipe.hub.card, facts.recipe.model.checkpoint
    return ModelCardData(
        license=card.license,
        library_name="adapt-sam" if facts.family in OWN_FAMILIES else "peft" if facts.adapter else "transformers",
        pipeline_tag=TASK,
        base_model=checkpoint if is_hub_id(checkpoint) else None,
        datasets=card.dataset,
        tags=[
            "segment-anything",
            facts.family.lower().replace(" ", "-"),
            "image-segmentation",
            "fine-tuned",
            "adapt-sam",
        ],
        metrics=["mean_iou"],
        model_name=title(facts),
        eval_results=_eval_results(facts.results, card, kind=facts.recipe.data.kind) or None,
    )


def _tag(family: str) -> str:
    """Of a family on the Hub: sam, sam-hq, sam-2."""
    return family.lower().replace(" ", "-")


def _eval_results(results: Mapping[str, Any], card: CardSettings, *, kind: str) -> list[EvalResult]:
    """Both models under each protocol: mIoU with its interval, and Dice."""
    found = []
    for protocol, figures in results["protocols"].items():
        for key, model in MODELS.items():
            of = figures.get(key)
            for metric, value, name in (
                ()
                if of is None
                else (
                    ("mean_iou", of["miou"], "mIoU"),
                    ("dice", of["dice"], "Dice"),
                )
            ):
                interval = {"low": of["low"], "high": of["high"], "confidence": 0.95}
                told = metric == "mean_iou" and of["low"] is not None
                found.append(
                    EvalResult(
                        task_type=TASK,
                        task_name="Promptable segmentation",
                        dataset_type=card.dataset or kind,
                        dataset_name=one_line(portable_text(card.data or f"test split ({kind})")),
                        dataset_split="test",
                        metric_type=metric,
                        metric_name=f"{name}, {_protocol(protocol)}, {model} model",
                        metric_value=round(value, 4),
                        metric_args={"interval": interval} if told else None,
                    )
                )
    return found


def _protocol(name: str) -> str:
    return name.replace("_", " ")


def _base(facts: CardFacts) -> str:
    """The base model in Markdown, linked if it is on the Hub, with its commit."""
    checkpoint = facts.recipe.model.checkpoint
    if checkpoint == TINY_VIDEO:
        return f"`{TINY_VIDEO}`, a small SAM 2 video model ({TINY_VIDEO_NOTE})"
    if is_embedded(checkpoint):
        return "`adapt:tiny`, a small SAM that was pretrained on synthetic images, for trying the tool and not for work"
    if not is_hub_id(checkpoint):
        return "a local checkpoint"
    commit = f" at commit `{facts.base_commit}`" if facts.base_commit else ""
    return f"[{plain(checkpoint)}](https://huggingface.co/{checkpoint}){commit}"


def _categories(results: Mapping[str, Any]) -> list[str]:
    return sorted({name for figures in results["protocols"].values() for name in figures["base"]["categories"]})


def _prompts(prompts: PromptSettings) -> str:
    """How training prompted, in a sentence."""
    first = {0.0: "clicks", 1.0: "boxes"}.get(prompts.box_chance, f"boxes ({prompts.box_chance:.0%}) or clicks")
    if not prompts.corrections:
        return f"Trained with single prompts, {first}; corrections by further clicks were not trained."
    return (
        f"Trained with {first} first, then {prompts.corrections} rounds of clicks on what was wrong, each with the "
        "logits of the answer before it as a mask prompt."
    )


def _interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return "none: one group"
    return f"{low:+.3f} to {high:+.3f}" if signed else f"{low:.3f} to {high:.3f}"


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
                rows.append([name, model, f"{of['miou']:.3f}", _interval(of["low"], of["high"]), f"{of['dice']:.3f}"])
        if "difference" in figures:
            of = figures["difference"]
            interval = _interval(of["low"], of["high"], signed=True)
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
            _interval(figures["difference"]["low"], figures["difference"]["high"], signed=True),
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
