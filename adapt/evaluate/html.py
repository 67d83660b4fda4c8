"""`report.html`: the result, the pictures and the facts of a run in one file that needs no other."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from adapt.evaluate.gallery import Picture
from adapt.evaluate.results import Results
from adapt.evaluate.tables import HEADER, MODELS, TITLES, caption, table_rows, warnings
from adapt.files import write_text

WIDTH, HEIGHT = 420, 150


@dataclass(frozen=True)
class ReportFacts:
    """What the report says beside the figures.

    Attributes:
        title: of the run.
        description: of the recipe.
        lines: name and value: data, split, model, duration.
        curves: name to (epoch, value) points.
        recipe: resolved YAML.
    """

    title: str
    description: str
    lines: Sequence[tuple[str, str]]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    recipe: str


def write_report(path: Path, *, results: Results, pictures: Sequence[Picture], facts: ReportFacts) -> None:
    """Write the report; pictures are embedded, and every text is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    images = [
        {
            "data": base64.b64encode(picture.path.read_bytes()).decode(),
            "text": picture.text,
            "rank": picture.rank,
            "protocol": TITLES[picture.protocol],
        }
        for picture in pictures
    ]
    categories = [
        [TITLES[name], category, *(f"{model.categories[category]:.3f}" for model in models)]
        for name, figures in results.protocols.items()
        for models in [[model for model in (figures.base, figures.tuned) if model is not None]]
        for category in figures.base.categories
    ]
    curves = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in facts.curves.items()}
    page = environment.from_string(TEMPLATE).render(
        facts=facts,
        header=HEADER,
        rows=table_rows(results),
        caption=caption(results),
        notices=warnings(results),
        categories=categories,
        models=list(MODELS.values())[: len(categories[0]) - 2],
        images=images,
        charts=[_chart(name, points) for name, points in curves.items() if len(points) > 1],
        width=WIDTH,
        height=HEIGHT,
    )
    write_text(path, page)


def _chart(name: str, points: Sequence[tuple[float, float]]) -> dict[str, str]:
    """A curve as the points of an SVG polyline, with the labels of its axes."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    span, reach = max(xs) - min(xs) or 1.0, high - low or 1.0
    line = " ".join(
        f"{40 + (x - min(xs)) / span * (WIDTH - 60):.1f},{HEIGHT - 25 - (y - low) / reach * (HEIGHT - 45):.1f}"
        for x, y in points
    )
    return {"name": name, "line": line, "low": f"{low:.3g}", "high": f"{high:.3g}", "last": f"epoch {max(xs):.0f}"}


TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ facts.title }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } .soft { opacity: .75; }
table { border-collapse: collapse; margin: .5rem 0; } th, td { padding: .3rem .8rem; text-align: left; }
th, tr.end td { border-bottom: 1px solid var(--line); } tr.tuned td { font-weight: 600; background: var(--soft); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1rem; overflow-x: auto; }
figure img { max-width: 100%; height: auto; border: 1px solid var(--line); }
figcaption { font-size: .85rem; } pre { overflow-x: auto; padding: 1rem; background: var(--soft); font-size: .85rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; } svg text { font-size: 11px; fill: currentColor; }
</style>
</head>
<body>
<h1>{{ facts.title }}</h1>
<p class="soft">{{ facts.description }}</p>
<h2>Domain mIoU</h2>
<table>
<tr>{% for name in header %}<th{% if loop.index > 2 %} class="number"{% endif %}>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}
<tr class="{{ 'tuned' if row[1] == 'tuned' else 'end' if row[1] == 'difference' }}">
{% for cell in row %}<td{% if loop.index > 2 %} class="number"{% endif %}>{{ cell }}</td>{% endfor %}
</tr>
{% endfor %}
</table>
{% for text in notices %}
<p><strong>Notice:</strong> {{ text }}.</p>
{% endfor %}
<p class="soft">{{ caption }}. mIoU and Dice are averaged over objects, then categories, then groups (patients,
scenes, slides), at full image resolution. The interval is a 95 % bootstrap over groups. A click lies at the
point farthest from the object's border; of its three candidates the most confident one counts, and the
oracle is the best one. Every box figure stands beside what the filled box itself would score.</p>
<h2>By category</h2>
<table>
<tr><th>prompt</th><th>category</th>{% for name in models %}<th class="number">{{ name }} mIoU</th>{% endfor %}</tr>
{% for row in categories %}
<tr>{% for cell in row %}<td{% if loop.index > 2 %} class="number"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% if images %}
<h2>Pictures</h2>
<p class="soft">Objects of the test split, ranked by IoU. Green is the truth, red the prediction, yellow the prompt
(and, in the first picture, the part that the others show).</p>
{% for image in images %}
<figure>
<img alt="{{ image.text }}" src="data:image/png;base64,{{ image.data }}">
<figcaption>{{ image.protocol }}, {{ image.rank }}: {{ image.text }}</figcaption>
</figure>
{% endfor %}
{% endif %}
{% if charts %}
<h2>Training</h2>
<div class="charts">
{% for chart in charts %}
<svg width="{{ width }}" height="{{ height }}" role="img" aria-label="{{ chart.name }}">
<text x="40" y="13">{{ chart.name }}</text><text x="0" y="25">{{ chart.high }}</text>
<text x="0" y="{{ height - 25 }}">{{ chart.low }}</text>
<text x="{{ width - 70 }}" y="{{ height - 6 }}">{{ chart.last }}</text>
<polyline points="{{ chart.line }}" fill="none" stroke="#3b82f6" stroke-width="2"/>
</svg>
{% endfor %}
</div>
{% endif %}
<h2>Facts</h2>
<table>{% for name, value in facts.lines %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table>
<h2>Recipe</h2>
<pre>{{ facts.recipe }}</pre>
</body>
</html>
"""
