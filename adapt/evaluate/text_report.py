"""`report.html` of a run that has learnt concepts, in the style of the others: one file that needs no other."""

import math
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from adapt.evaluate.headline import certainty
from adapt.evaluate.html import STYLE, ReportFacts
from adapt.evaluate.panels import training_panels
from adapt.evaluate.tables import caption
from adapt.evaluate.text_tables import MIOU_HEADER, TEXT_HEADER, miou_rows, text_rows
from adapt.evaluate.texts import TextResults
from adapt.files import write_text

TEMPLATE = "texts.html.jinja"


def write_text_report(path: Path, *, results: TextResults, facts: ReportFacts) -> None:
    """Write the report; every text is escaped.

    Args:
        path: of the file.
        results: of the untouched and of the tuned model, asked by text.
        facts: see `ReportFacts`.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    package = resources.files("adapt.evaluate")
    curves = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in facts.curves.items()}
    page = environment.from_string(package.joinpath(TEMPLATE).read_text(encoding="utf-8")).render(
        facts=facts,
        style=package.joinpath(STYLE).read_text(encoding="utf-8"),
        verdict=text_verdict(results),
        miou_header=MIOU_HEADER,
        miou_rows=miou_rows(results),
        caption=caption(results),
        header=TEXT_HEADER,
        rows=text_rows(results),
        training=training_panels(curves),
    )
    write_text(path, page)


def text_verdict(results: TextResults) -> str:
    """The result in two sentences: from the untouched model to the tuned one, and how sure that is."""
    before, after = results.figures
    (gain,) = results.differences
    direction = "more" if gain.miou >= 0 else "less"
    return (
        f"Asked by name, what is found overlaps the objects by {after.miou:.3f} on average (mIoU), untouched by "
        f"{before.miou:.3f}: {abs(gain.miou):.3f} {direction}, {certainty(gain, results.groups)}. "
        f"{100 * after.found:.0f} % of the objects are found (untouched {100 * before.found:.0f} %), "
        f"AP {_number(after.ap)} (untouched {_number(before.ap)})."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
