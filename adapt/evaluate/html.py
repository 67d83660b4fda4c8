"""`report.html`: the result, the charts, the pictures and the facts of a run in one file that needs no other."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from adapt.evaluate.automatic import AUTOMATIC_HEADER, automatic_rows, kept_text
from adapt.evaluate.forgetting import FORGETTING_HEADER, forgetting_rows
from adapt.evaluate.gallery import Picture
from adapt.evaluate.headline import forgetting_verdict, sentences, verdict
from adapt.evaluate.panels import click_panel, protocol_panels, training_panels
from adapt.evaluate.results import Results, Retention
from adapt.evaluate.tables import (
    HEADER,
    MODELS,
    TITLES,
    automatic_title,
    caption,
    click_rows,
    interval_text,
    table_rows,
    volume_header,
    volume_rows,
    warnings,
)
from adapt.files import write_text

TEMPLATE, STYLE = "report.html.jinja", "page.css"


@dataclass(frozen=True)
class ReportFacts:
    """What the report says beside the figures.

    Attributes:
        title: of the run.
        description: of the recipe.
        cost: of tuning, in words; empty if it is not known.
        lines: name and value: data, split, model.
        curves: name to (epoch, value) points.
        recipe: resolved YAML.
    """

    title: str
    description: str
    cost: str
    lines: Sequence[tuple[str, str]]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    recipe: str


@dataclass(frozen=True)
class Card:
    """The figure of a protocol at a glance."""

    title: str
    before: str
    after: str
    gain: str


@dataclass(frozen=True)
class Forgetting:
    """What tuning did on general images: the images, a sentence, the same as cards, and the rows of the table."""

    of: str
    verdict: str
    cards: Sequence[Card]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Shown:
    """An embedded picture."""

    data: str
    text: str
    rank: str


def write_report(path: Path, *, results: Results, pictures: Sequence[Picture], facts: ReportFacts) -> None:
    """Write the report; pictures are embedded, and every text is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files("adapt.evaluate").joinpath(TEMPLATE).read_text(encoding="utf-8")
    curves = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in facts.curves.items()}
    page = environment.from_string(text).render(
        facts=facts,
        style=resources.files("adapt.evaluate").joinpath(STYLE).read_text(encoding="utf-8"),
        verdict=verdict(results),
        sentences=sentences(results),
        cards=_cards(results),
        forgetting=None if results.retention is None else _forgetting(results.retention),
        forgetting_header=FORGETTING_HEADER,
        header=HEADER,
        rows=table_rows(results),
        caption=caption(results),
        notices=warnings(results),
        models=list(MODELS.values()) if _is_compared(results) else [MODELS["base"]],
        clicks=click_panel(results),
        click_rows=click_rows(results),
        panels={TITLES[name]: protocol_panels(results, name) for name in results.protocols},
        categories=_categories(results),
        borders=_borders(results),
        volume_header=volume_header(results),
        volume_rows=volume_rows(results),
        automatic_title="" if results.automatic is None else automatic_title(results.automatic),
        automatic_kept="" if results.automatic is None else kept_text(results.automatic),
        automatic_header=AUTOMATIC_HEADER,
        automatic_rows=[] if results.automatic is None else automatic_rows(results.automatic, MODELS),
        pictures=_by_protocol(pictures),
        training=training_panels(curves),
    )
    write_text(path, page)


def _is_compared(results: Results) -> bool:
    return any(figures.tuned is not None for figures in results.protocols.values())


def _cards(results: Results) -> list[Card]:
    cards = []
    for name, figures in results.protocols.items():
        gain = figures.difference
        after = figures.tuned or figures.base
        cards.append(
            Card(
                title=TITLES[name],
                before="" if figures.tuned is None else f"{figures.base.miou:.3f}",
                after=f"{after.miou:.3f}",
                gain="" if gain is None else f"{gain.miou:+.3f} ({interval_text(gain.low, gain.high, signed=True)})",
            )
        )
    return cards


def _forgetting(retention: Retention) -> Forgetting:
    images = retention.results.images
    return Forgetting(
        of=f"{retention.data}, {images} image{'' if images == 1 else 's'}",
        verdict=forgetting_verdict(retention),
        cards=_cards(retention.results),
        rows=forgetting_rows(retention),
    )


def _categories(results: Results) -> list[list[str]]:
    """Prompt, category, and the mIoU of each model."""
    return [
        [TITLES[name], category, *(f"{model.categories[category]:.3f}" for model in figures.models.values())]
        for name, figures in results.protocols.items()
        for category in figures.base.categories
    ]


def _borders(results: Results) -> list[list[str]]:
    """Prompt, model, NSD, HD95, objects that were missed, and the error of the predicted IoU."""
    return [
        [
            TITLES[name],
            MODELS[key],
            f"{model.nsd:.3f}",
            "several units" if model.hd95 is None else f"{model.hd95:.2f} {model.unit}",
            f"{model.missed} of {results.objects}",
            f"{model.calibration.error:.3f}",
        ]
        for name, figures in results.protocols.items()
        for key, model in figures.models.items()
    ]


def _by_protocol(pictures: Sequence[Picture]) -> dict[str, list[Shown]]:
    """Title of a protocol to its pictures."""
    shown: dict[str, list[Shown]] = {}
    for picture in pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode()
        shown.setdefault(TITLES[picture.protocol], []).append(Shown(data=data, text=picture.text, rank=picture.rank))
    return shown
