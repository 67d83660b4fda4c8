"""Charts: marks lie where their numbers say, and nothing of the data can break out of the text."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapt.evaluate.charts import Axis, Dot, Line, bar_chart, dot_chart, fitted_axis, line_chart, share_axis


def _elements(chart: str, tag: str, kind: str = "") -> list[ET.Element]:
    """Elements of a tag and class; the chart must be XML."""
    return [
        element for element in ET.fromstring(chart).iter(tag) if kind in element.get("class", "").split() or not kind
    ]


def _texts(chart: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(chart).iter("text")]


def _number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name])


CURVE = Line("tuned", "tuned", [(1.0, 0.9), (2.0, 0.4), (3.0, 0.3)])


def test_a_curve_runs_from_left_to_right_and_higher_values_lie_higher() -> None:
    chart = line_chart("loss", [CURVE], x=Axis("epoch", 1, 3, (1, 2, 3)), y=Axis("loss", 0.3, 0.9, (0.3, 0.9)))
    (line,) = _elements(chart, "polyline")
    (x1, y1), (x2, y2), (x3, y3) = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert x3 - x2 == pytest.approx(x2 - x1, abs=0.11)
    assert x1 < x2 and y1 < y2 < y3  # y grows downwards
    assert (y3 - y2) / (y3 - y1) == pytest.approx(1 / 6, abs=0.01)
    width, height = (float(value) for value in ET.fromstring(chart).attrib["viewBox"].split()[2:])
    assert 0 < x1 < x3 < width and 0 < y1 < y3 < height


def test_axes_say_what_they_are() -> None:
    chart = line_chart("loss", [CURVE], x=Axis("epoch", 1, 3, (1, 2, 3)), y=share_axis("mIoU"))
    assert {"epoch", "mIoU", "1", "2", "3", "0.25", "0.5"} <= set(_texts(chart))
    assert ET.fromstring(chart).attrib["aria-label"] == "loss"


def test_two_curves_are_named_at_their_ends_and_differ_in_more_than_colour() -> None:
    lines = [Line("base", "untouched", [(1, 0.2), (2, 0.3)]), Line("tuned", "tuned", [(1, 0.5), (2, 0.9)])]
    chart = line_chart("mIoU", lines, x=Axis("clicks", 1, 2, (1, 2)), y=share_axis("mIoU"))
    assert {"untouched", "tuned"} <= set(_texts(chart))
    assert len(_elements(chart, "polyline", "base")) == len(_elements(chart, "polyline", "tuned")) == 1


def test_a_dot_on_the_diagonal_lies_on_it() -> None:
    chart = dot_chart("groups", [Dot("tuned", 0.25, 0.25, "p1")], x=share_axis("untouched"), y=share_axis("tuned"))
    (dot,), (line,) = _elements(chart, "circle"), _elements(chart, "line", "diagonal")
    share_x = (_number(dot, "cx") - _number(line, "x1")) / (_number(line, "x2") - _number(line, "x1"))
    share_y = (_number(dot, "cy") - _number(line, "y1")) / (_number(line, "y2") - _number(line, "y1"))
    assert (share_x, share_y) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.25, abs=0.01))


def test_bars_are_as_long_as_their_values() -> None:
    rows = {"liver": {"base": 0.25, "tuned": 0.5}, "spleen": {"base": 1.0, "tuned": 0.0}}
    chart = bar_chart("categories", rows, name="mIoU")
    wide = [_number(bar, "width") for bar in _elements(chart, "rect")]
    assert wide[1] == pytest.approx(2 * wide[0], abs=0.2) and wide[2] == pytest.approx(4 * wide[0], abs=0.2)
    assert wide[3] == 1.0  # still to be seen
    assert {"0.250", "0.500", "1.000", "0.000", "liver", "spleen"} <= set(_texts(chart)) | {"liver", "spleen"}


def test_rows_of_bars_do_not_overlap() -> None:
    chart = bar_chart("categories", {str(n): {"base": 0.5, "tuned": 0.6} for n in range(5)}, name="mIoU")
    edges = [(_number(bar, "y"), _number(bar, "y") + _number(bar, "height")) for bar in _elements(chart, "rect")]
    assert all(end <= start for (_, end), (start, _) in pairwise(edges))
    assert edges[-1][1] < float(ET.fromstring(chart).attrib["height"])


AWKWARD = '<script>alert(1)</script>" onload="x'


def test_names_are_escaped_and_can_be_read() -> None:
    charts = [
        bar_chart(AWKWARD, {AWKWARD: {"base": 0.5}}, name=AWKWARD),
        dot_chart(AWKWARD, [Dot("base", 0.5, 0.5, AWKWARD)], x=share_axis(AWKWARD), y=share_axis(AWKWARD)),
    ]
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.attrib["aria-label"] == AWKWARD
        assert AWKWARD in [element.text for element in root.iter("title")]
        assert not any(element.tag == "script" or "onload" in element.attrib for element in root.iter())


def test_a_long_name_is_shortened_and_told_in_full_when_pointed_at() -> None:
    name = "left kidney with a complicated cyst of the lower pole"
    chart = bar_chart("categories", {name: {"base": 0.5}}, name="mIoU")
    (title,) = ET.fromstring(chart).iter("title")
    assert title.text == name
    assert "left kidney with a comp…" in chart


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_fitted_axis_holds_every_value_between_its_ticks(values: list[float]) -> None:
    axis = fitted_axis("loss", values)
    slack = 1e-9 * max(1.0, max(map(abs, values)))
    assert axis.low - slack <= min(values) and max(values) <= axis.high + slack
    assert axis.low < axis.high
    assert 2 <= len(axis.ticks) <= 8


def test_a_level_curve_has_an_axis() -> None:
    assert fitted_axis("loss", [0.5, 0.5]).low <= 0.5 <= fitted_axis("loss", [0.5, 0.5]).high


@given(st.integers(1, 500))
def test_epochs_are_counted_in_whole_numbers(last: int) -> None:
    assert all(tick == int(tick) for tick in fitted_axis("epoch", [1.0, float(last)], whole=True).ticks)
