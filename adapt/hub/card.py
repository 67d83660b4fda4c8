"""The card of a pushed model: its README.md, with the figures where the Hub reads them (`model-index`)."""

from collections.abc import Callable, Mapping

from huggingface_hub import ModelCardData

from adapt.hub import classes, concepts, prompted
from adapt.hub.facts import Asked, CardFacts, Said
from adapt.hub.markdown import fenced, one_line, plain
from adapt.hub.pages import page
from adapt.hub.portable import is_embedded, is_hub_id
from adapt.hub.stock import STOCK
from adapt.recipe import as_yaml
from adapt.segmenters import TINY_VIDEO, TINY_VIDEO_NOTE

TEMPLATE = "card.md.jinja"
OURS = "adapt-sam"
"""This package, as it is installed."""
SAID: Mapping[Asked, Callable[[CardFacts], Said]] = {
    "prompts": prompted.said,
    "classes": classes.said,
    "phrases": concepts.said,
}


def card_text(facts: CardFacts) -> str:
    """Markdown with its YAML head; no text of the recipe or the results can end a block, or be more than text."""
    said = SAID[facts.asked](facts)
    loading = loading_code(facts)
    return page(
        TEMPLATE,
        {
            "facts": facts,
            "said": said,
            "card": facts.recipe.hub.card,
            "title": title(facts),
            "metadata": _metadata(facts, said).to_yaml(line_break="\n"),
            "base": _base(facts),
            "kind": facts.recipe.data.kind,
            "loading": fenced(loading, "python"),
            "using": fenced(f"{loading}\n\n{said.using}", "python"),
            "needs": (OURS,) if facts.why_ours else STOCK[facts.family].needs,
            "tuning": facts.recipe.tuning.mode.replace("_", " "),
            "recipe": fenced(as_yaml(facts.recipe), "yaml"),
        },
    )


def title(facts: CardFacts) -> str:
    """Of the card."""
    return one_line(facts.recipe.hub.card.title or f"Segment Anything, fine-tuned: {facts.name}")


def loading_code(facts: CardFacts, *, revision: str | None = None) -> str:
    """Lines that load the model and its processor, of a revision or the newest; if it can be, without this package."""
    at = "" if revision is None else f', revision="{revision}"'
    if facts.why_ours:
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


def _metadata(facts: CardFacts, said: Said) -> ModelCardData:
    card, checkpoint = facts.recipe.hub.card, facts.recipe.model.checkpoint
    return ModelCardData(
        license=card.license,
        library_name=OURS if facts.why_ours else "peft" if facts.adapter else "transformers",
        pipeline_tag=said.task,
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
        eval_results=list(said.figures) or None,
    )


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
