"""`report.html` of a run with classes, in the style of the others: one file that needs no other."""

import base64
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from adapt.evaluate.charts import bar_chart
from adapt.evaluate.html import STYLE, ReportFacts
from adapt.evaluate.panels import Panel, training_panels
from adapt.evaluate.semantic.figures import SemanticResults
from adapt.evaluate.semantic.gallery import ClassPicture
from adapt.evaluate.semantic.tables import HEADER, caption, class_rows, warnings
from adapt.files import write_text

TEMPLATE = "classes.html.jinja"


def write_class_report(
    path: Path, *, results: SemanticResults, pictures: Sequence[ClassPicture], facts: ReportFacts
) -> None:
    """Write the report; pictures are embedded, and every text is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = resources.files("adapt.evaluate.semantic").joinpath(TEMPLATE).read_text(encoding="utf-8")
    style = resources.files("adapt.evaluate").joinpath(STYLE).read_text(encoding="utf-8")
    curves = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in facts.curves.items()}
    shown = [(base64.b64encode(picture.path.read_bytes()).decode(), picture) for picture in pictures]
    page = environment.from_string(text).render(
        facts=facts,
        style=style,
        verdict=verdict(results),
        header=HEADER,
        rows=class_rows(results),
        caption=caption(results),
        notices=warnings(results),
        panels=_panels(results),
        pictures=shown,
        training=training_panels(curves),
    )
    write_text(path, page)


def verdict(results: SemanticResults) -> str:
    """The result in a sentence."""
    mean = results.mean
    if mean.iou is None:
        return "No class was scored."
    sure = "" if mean.low is None or mean.high is None else f" ({mean.low:.3f} to {mean.high:.3f})"
    return f"Mean IoU of {len(results.classes)} classes {mean.iou:.3f}{sure}, Dice {mean.dice:.3f}."


def _panels(results: SemanticResults) -> list[Panel]:
    """IoU of each class, and of each group."""
    classes = {name: {"tuned": own.iou} for name, own in results.classes.items() if own.iou is not None}
    groups = {name: {"tuned": value} for name, value in sorted(results.groups.items(), key=lambda pair: pair[1])}
    found = []
    if classes:
        found.append(Panel("Classes", "Mean over groups.", bar_chart("IoU of classes", classes, name="IoU")))
    if groups:
        note = "Mean over the classes of a group, worst first."
        worst = dict(list(groups.items())[:WORST_GROUPS])
        found.append(Panel("Groups", note, bar_chart("mean IoU of groups", worst, name="mean IoU")))
    return found


WORST_GROUPS = 20
"""Shown in the chart of groups."""
