"""The figures of classes by hand, and how they are told."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from adapt.evaluate.html import ReportFacts
from adapt.evaluate.semantic import (
    ClassScore,
    SemanticResults,
    class_rows,
    print_classes,
    summarise_classes,
    write_class_report,
)

CLASSES = ["liver", "<b>spleen</b>", "kidney"]


def score(name: str, group: str, *counts: tuple[int, int, int]) -> ClassScore:
    return ClassScore(name, group, np.array(counts, dtype=np.int64), ())


@pytest.fixture(scope="module")
def results() -> SemanticResults:
    """Two slices of patient a, whose pixels are put together, and one of patient b, without spleen."""
    scores = [
        score("a1", "a", (90, 90, 90), (4, 6, 8), (0, 0, 5), (0, 0, 0)),
        score("a2", "a", (90, 90, 95), (6, 9, 7), (5, 5, 5), (0, 0, 0)),
        score("b1", "b", (80, 80, 80), (20, 20, 20), (0, 0, 0), (0, 0, 0)),
    ]
    return summarise_classes(scores, CLASSES, bootstrap_samples=200, seed=0)


def test_pixels_of_a_group_are_put_together_and_groups_averaged(results: SemanticResults) -> None:
    liver, spleen = 10 / (15 + 15 - 10), 5 / 10
    assert results.groups == pytest.approx({"a": (liver + spleen) / 2, "b": 1.0})
    assert results.mean.iou == pytest.approx(((liver + spleen) / 2 + 1) / 2)
    assert results.mean.dice == pytest.approx(((20 / 30 + 10 / 15) / 2 + 1) / 2)
    assert results.classes["liver"].iou == pytest.approx((liver + 1) / 2)
    assert (results.classes["<b>spleen</b>"].iou, results.classes["<b>spleen</b>"].groups) == (0.5, 1)
    assert results.background.iou == pytest.approx((180 / 185 + 1) / 2)
    assert results.mean.low is not None and results.mean.low <= results.mean.iou <= results.mean.high


def test_a_class_that_nobody_shows_has_no_figure_and_says_so(results: SemanticResults) -> None:
    assert results.classes["kidney"].iou is None
    assert class_rows(results)[3] == ["kidney", "none", "none", "none", "0"]
    told = io.StringIO()
    print_classes(results, Console(width=120, file=told))
    assert "kidney: the test split does not show it" in told.getvalue()


def test_names_of_classes_are_text_in_the_report(results: SemanticResults, tmp_path: Path) -> None:
    facts = ReportFacts(title="t", description="d", cost="", lines=[], curves={}, recipe="r")
    write_class_report(tmp_path / "report.html", results=results, pictures=[], facts=facts)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;spleen&lt;/b&gt;" in page and "<b>spleen" not in page
    assert "There is no untouched model beside it" in page
