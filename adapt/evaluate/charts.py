"""Charts as SVG text, without a library and without a script: pure functions from numbers to elements.

Colours are left to the page: what belongs to a model has its key (`base`, `tuned`) as class, so that one sheet serves
light and dark schemes. No two things differ by colour alone: `base` is hollow or dashed, `tuned` is filled or solid.
Sizes are those of the view box; the page scales a chart to the room it has.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 420
ROW, BAR = 15, 11
"""Height of a bar's row, and of the bar in it."""
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 40
"""Room around the plot for ticks and labels."""
CHARACTER = 6.6
"""Width of a character, roughly."""
LONGEST = 24
"""Characters of a label beside a bar; the whole text is in its tooltip."""


@dataclass(frozen=True)
class Line:
    """A curve: class of its marks, text at its end, and (x, y) points."""

    key: str
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Dot:
    """A mark: class, place, what it says when it is pointed at, and radius."""

    key: str
    x: float
    y: float
    text: str
    radius: float = 4


@dataclass(frozen=True)
class Axis:
    """Range and meaning of an axis; `ticks` are the values that are written."""

    name: str
    low: float
    high: float
    ticks: Sequence[float]


def share_axis(name: str) -> Axis:
    """An axis from 0 to 1."""
    return Axis(name=name, low=0, high=1, ticks=(0, 0.25, 0.5, 0.75, 1))


def fitted_axis(name: str, values: Iterable[float], *, whole: bool = False) -> Axis:
    """An axis that holds all values, from a round number to a round number; `whole` has no ticks between integers."""
    values = list(values)
    low, high = min(values), max(values)
    span = high - low or abs(high) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (factor * step) <= 5)
    step = max(1, round(step)) if whole else step
    first, last = math.floor(low / step), math.ceil(high / step)
    last += first == last
    return Axis(name=name, low=first * step, high=last * step, ticks=[n * step for n in range(first, last + 1)])


def line_chart(title: str, lines: Sequence[Line], *, x: Axis, y: Axis, height: int = 240) -> str:
    """Curves with marks at their points, and each curve's name at its end."""
    plot = _Plot(x, y, height)
    marks = []
    for line in lines:
        places = [plot.at(*point) for point in line.points]
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
        marks.append(f'<polyline class="line {line.key}" points="{path}"/>')
        marks += [
            _mark(line.key, left, top, 2.5, f"{line.name}: {_number(a)}, {_number(b)}")
            for (left, top), (a, b) in zip(places, line.points, strict=True)
        ]
    marks += _end_labels(lines, plot)
    return _svg(title, height, [*plot.axes(), *marks])


def dot_chart(
    title: str, dots: Sequence[Dot], *, x: Axis, y: Axis, lines: Sequence[Line] = (), height: int = 300
) -> str:
    """Marks in a plot whose diagonal is drawn: on it, both axes say the same."""
    plot = _Plot(x, y, height)
    low, high = max(x.low, y.low), min(x.high, y.high)
    (x0, y0), (x1, y1) = plot.at(low, low), plot.at(high, high)
    marks = [f'<line class="diagonal" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>']
    for line in lines:
        path = " ".join(f"{left:.1f},{top:.1f}" for left, top in (plot.at(*point) for point in line.points))
        marks.append(f'<polyline class="line {line.key}" points="{path}"/>')
    marks += [_mark(dot.key, *plot.at(dot.x, dot.y), dot.radius, dot.text) for dot in dots]
    return _svg(title, height, [*plot.axes(), *marks])


def bar_chart(title: str, rows: Mapping[str, Mapping[str, float]], *, name: str) -> str:
    """Bars from 0 to 1, one a row and model, with their values.

    Args:
        title: for those who cannot see it.
        rows: label to (class of the bar to its value).
        name: of the axis.
    """
    left = 12 + CHARACTER * max(len(_shortened(label)) for label in rows)
    reach = WIDTH - left - 44  # the value stands behind the longest bar
    marks: list[str] = []
    top = 4.0
    for label, values in rows.items():
        middle = top + ROW * len(values) / 2
        marks.append(
            f'<text class="label" x="{left - 8:.1f}" y="{middle:.1f}" text-anchor="end" dominant-baseline="central">'
            f"<title>{escape(label)}</title>{escape(_shortened(label))}</text>"
        )
        for key, value in values.items():
            wide = max(1.0, min(1.0, value) * reach)
            marks.append(
                f'<rect class="bar {key}" x="{left:.1f}" y="{top + (ROW - BAR) / 2:.1f}" width="{wide:.1f}" '
                f'height="{BAR}" rx="2"/>'
            )
            marks.append(_text(left + wide + 6, top + ROW / 2, f"{value:.3f}", "value", middle=True))
            top += ROW
        top += 9
    base = top - 2
    for tick in (0, 0.25, 0.5, 0.75, 1):
        place = left + tick * reach
        marks.insert(0, f'<line class="grid" x1="{place:.1f}" y1="2" x2="{place:.1f}" y2="{base:.1f}"/>')
        marks.append(_text(place, base + 14, _number(tick), "tick", anchor="middle"))
    marks.append(_text(left + reach / 2, base + 31, name, "axis", anchor="middle"))
    return _svg(title, int(base + 38), marks)


class _Plot:
    """The rectangle inside a chart in which values have a place."""

    def __init__(self, x: Axis, y: Axis, height: int) -> None:
        self.x, self.y = x, y
        self.bottom, self.right = height - BOTTOM, WIDTH - RIGHT

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a value; what lies outside the axes is drawn at their end."""
        share_x, share_y = (
            min(1.0, max(0.0, (value - axis.low) / (axis.high - axis.low)))
            for value, axis in ((x, self.x), (y, self.y))
        )
        return LEFT + share_x * (self.right - LEFT), self.bottom - share_y * (self.bottom - TOP)

    def axes(self) -> list[str]:
        """Grid lines, ticks and names."""
        marks = []
        for tick in self.y.ticks:
            _, top = self.at(self.x.low, tick)
            marks.append(f'<line class="grid" x1="{LEFT}" y1="{top:.1f}" x2="{self.right}" y2="{top:.1f}"/>')
            marks.append(_text(LEFT - 6, top, _number(tick), "tick", anchor="end", middle=True))
        for tick in self.x.ticks:
            left, _ = self.at(tick, self.y.low)
            marks.append(_text(left, self.bottom + 15, _number(tick), "tick", anchor="middle"))
        marks.append(_text((LEFT + self.right) / 2, self.bottom + 33, self.x.name, "axis", anchor="middle"))
        middle = (TOP + self.bottom) / 2
        name = escape(self.y.name)
        turned = f'transform="rotate(-90 11 {middle:.1f})"'
        marks.append(f'<text class="axis" x="11" y="{middle:.1f}" text-anchor="middle" {turned}>{name}</text>')
        marks.append(f'<line class="base-line" x1="{LEFT}" y1="{self.bottom}" x2="{self.right}" y2="{self.bottom}"/>')
        return marks


def _end_labels(lines: Sequence[Line], plot: _Plot) -> list[str]:
    """Names of two or more curves above their ends; a name that would cover the one below moves up."""
    marks = []
    taken = math.inf
    for line in sorted(lines, key=lambda line: line.points[-1][1]) if len(lines) > 1 else ():
        left, top = plot.at(*line.points[-1])
        taken = min(top - 9, taken - 15)
        marks.append(_text(left, taken, line.name, f"name {line.key}", anchor="end"))
    return marks


def _mark(key: str, x: float, y: float, radius: float, text: str) -> str:
    return (
        f'<circle class="dot {key}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{escape(text)}</title></circle>'
    )


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start", middle: bool = False) -> str:
    baseline = ' dominant-baseline="central"' if middle else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{baseline}>{escape(text)}</text>'


def _svg(title: str, height: int, marks: Iterable[str]) -> str:
    view = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return f'<svg {view} role="img" aria-label="{escape(title)}">{"".join(marks)}</svg>'


def _number(value: float) -> str:
    return f"{value:.3g}"


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
