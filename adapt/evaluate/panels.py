"""Which charts a report has, and from which figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapt.evaluate.charts import Axis, Dot, Line, bar_chart, dot_chart, fitted_axis, line_chart, share_axis
from adapt.evaluate.results import ModelFigures, ProtocolFigures, Results
from adapt.evaluate.sizes import SizePart
from adapt.evaluate.tables import MODELS, TITLES

SMALLEST_MARK, LARGEST_MARK = 2.5, 9.0
"""Radii of the marks whose area is a share of the objects."""


@dataclass(frozen=True)
class Panel:
    """A chart with its heading, and a sentence on how to read it."""

    title: str
    note: str
    chart: str


def protocol_panels(results: Results, name: str) -> list[Panel]:
    """Categories, sizes, groups and calibration of one protocol."""
    figures = results.protocols[name]
    panels = [_categories(name, figures)]
    if results.sizes:
        panels.append(_sizes(name, figures, results.sizes))
    if figures.tuned is not None:
        panels.append(_groups(name, figures.base, figures.tuned))
    return [*panels, _calibration(name, figures)]


def click_panel(results: Results) -> Panel | None:
    """IoU over clicks; None if no protocol corrects its answers, or with a single click."""
    for name, figures in results.protocols.items():
        curves = {key: model.clicks.curve for key, model in figures.models.items() if model.clicks is not None}
        if curves and len(curves["base"]) > 1:
            lines = [Line(key, MODELS[key], list(enumerate(curve, start=1))) for key, curve in curves.items()]
            count = len(curves["base"])
            ticks = [number for number in range(1, count + 1) if count <= 10 or number == 1 or number % 5 == 0]
            chart = line_chart(
                f"{TITLES[name]}: mIoU after each click",
                lines,
                x=Axis("clicks", 1, count, ticks),
                y=share_axis("mIoU"),
                height=260,
            )
            note = "Each click goes to the centre of what is most wrong. Higher and steeper is better."
            return Panel("mIoU over clicks", note, chart)
    return None


def training_panels(curves: Mapping[str, Sequence[tuple[float, float]]]) -> list[Panel]:
    """A panel for each curve of more than one point."""
    return [
        Panel(
            name,
            "",
            line_chart(
                name,
                [Line("plain", name, points)],
                x=fitted_axis("epoch", [x for x, _ in points], whole=True),
                y=fitted_axis(name, [y for _, y in points]),
                height=200,
            ),
        )
        for name, points in curves.items()
        if len(points) > 1
    ]


def _categories(name: str, figures: ProtocolFigures) -> Panel:
    rows = {
        category: {key: model.categories[category] for key, model in figures.models.items()}
        for category in figures.base.categories
    }
    chart = bar_chart(f"{TITLES[name]}: mIoU of each category", rows, name="mIoU")
    return Panel("By category", "What is hard, and what tuning has changed.", chart)


def _sizes(name: str, figures: ProtocolFigures, sizes: Sequence[SizePart]) -> Panel:
    rows = {
        f"{part.name} {part.least:,} to {part.greatest:,}": {
            key: model.sizes[part.name] for key, model in figures.models.items()
        }
        for part in sizes
    }
    chart = bar_chart(f"{TITLES[name]}: mIoU of small, medium and large objects", rows, name="mIoU")
    return Panel("By size", "Thirds of the test objects by the area of their truth, in pixels of the image.", chart)


def _groups(name: str, base: ModelFigures, tuned: ModelFigures) -> Panel:
    dots = [
        Dot("tuned", base.groups[group], tuned.groups[group], f"{group}: {base.groups[group]:.3f} to {value:.3f}")
        for group, value in tuned.groups.items()
    ]
    chart = dot_chart(
        f"{TITLES[name]}: mIoU of each group, untouched against tuned",
        dots,
        x=share_axis("untouched mIoU"),
        y=share_axis("tuned mIoU"),
    )
    better = sum(tuned.groups[group] > value for group, value in base.groups.items())
    note = f"A dot is a patient, scene or slide; above the line tuning helped: {better} of {len(dots)}."
    return Panel("By group", note, chart)


def _calibration(name: str, figures: ProtocolFigures) -> Panel:
    dots, lines = [], []
    for key, model in figures.models.items():
        bins = model.calibration.bins
        objects = sum(entry.count for entry in bins)
        lines.append(Line(key, MODELS[key], [(entry.predicted, entry.true) for entry in bins]))
        dots += [
            Dot(
                key,
                entry.predicted,
                entry.true,
                f"{MODELS[key]}: {entry.count} objects, predicted {entry.predicted:.2f}, true {entry.true:.2f}",
                radius=max(SMALLEST_MARK, LARGEST_MARK * (entry.count / objects) ** 0.5),
            )
            for entry in bins
        ]
    chart = dot_chart(
        f"{TITLES[name]}: predicted against true IoU",
        dots,
        x=share_axis("IoU that the model predicts"),
        y=share_axis("true IoU"),
        lines=lines,
    )
    errors = ", ".join(f"{MODELS[key]} {model.calibration.error:.3f}" for key, model in figures.models.items())
    return Panel(
        "Does it know?", f"On the line it does; a larger mark has more objects. Expected error: {errors}.", chart
    )
