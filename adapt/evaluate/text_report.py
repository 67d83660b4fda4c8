"""`report.html` of a run that has learnt concepts, in the style of the others: one file that needs no other."""

import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from adapt.evaluate.html import STYLE, ReportFacts
from adapt.evaluate.panels import training_panels
from adapt.evaluate.texts import TEXT_HEADER, TextFigures, text_rows
from adapt.files import write_text

TEMPLATE = "texts.html.jinja"


def write_text_report(path: Path, *, figures: Sequence[TextFigures], facts: ReportFacts) -> None:
    """Write the report; every text is escaped.

    Args:
        path: of the file.
        figures: of the untouched and of the tuned model.
        facts: see `ReportFacts`.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    package = resources.files("adapt.evaluate")
    curves = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in facts.curves.items()}
    page = environment.from_string(package.joinpath(TEMPLATE).read_text(encoding="utf-8")).render(
        facts=facts,
        style=package.joinpath(STYLE).read_text(encoding="utf-8"),
        verdict=text_verdict(figures),
        header=TEXT_HEADER,
        rows=text_rows(figures),
        training=training_panels(curves),
    )
    write_text(path, page)


def text_verdict(figures: Sequence[TextFigures]) -> str:
    """The result in a sentence: from the first model to the last."""
    before, after = figures[0], figures[-1]
    return (
        f"Asked by name, {100 * after.found:.0f} % of the objects are found (untouched {100 * before.found:.0f} %), "
        f"AP {_number(after.ap)} (untouched {_number(before.ap)})."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
