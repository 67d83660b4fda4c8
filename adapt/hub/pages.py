"""Markdown from the templates of this folder; no text of a recipe or the results is more than text in it."""

from collections.abc import Mapping, Sequence
from importlib import resources

from huggingface_hub import EvalResult
from jinja2 import Environment, StrictUndefined

from adapt.hub.facts import CardFacts
from adapt.hub.markdown import one_line, plain
from adapt.hub.portable import portable_text


def page(template: str, values: Mapping[str, object]) -> str:
    """A template, filled; its filter `plain` is for whatever a person or a file has named."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["plain"] = shown
    text = resources.files("adapt.hub").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)


def shown(text: str) -> str:
    """A name as it is, as Markdown, without paths of this machine."""
    return plain(portable_text(text))


def listed_names(names: Sequence[str]) -> str:
    """Names behind one another, as Markdown."""
    return ", ".join(map(shown, names))


def interval_cell(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """A 95 % interval as a cell of a table."""
    if low is None or high is None:
        return "none: one group"
    return f"{low:+.3f} to {high:+.3f}" if signed else f"{low:.3f} to {high:.3f}"


def figure(
    facts: CardFacts,
    *,
    task: str,
    task_name: str,
    metric: str,
    name: str,
    value: float,
    interval: tuple[float | None, float | None] | None = None,
) -> EvalResult:
    """A figure of the test split, for the head of a card.

    Args:
        facts: of the card.
        task: the Hub's name for it.
        task_name: in words.
        metric: the Hub's name for it.
        name: what people read.
        value: of the metric.
        interval: of 95 %; left out where there is none.
    """
    card, kind = facts.recipe.hub.card, facts.recipe.data.kind
    low, high = interval or (None, None)
    told = None if low is None else {"interval": {"low": low, "high": high, "confidence": 0.95}}
    return EvalResult(
        task_type=task,
        task_name=task_name,
        dataset_type=card.dataset or kind,
        dataset_name=one_line(portable_text(card.data or f"test split ({kind})")),
        dataset_split="test",
        metric_type=metric,
        metric_name=name,
        metric_value=round(value, 4),
        metric_args=told,
    )
