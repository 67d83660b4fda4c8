"""The report stands alone, escapes what it is given, and shows figures, pictures, curves and recipe."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from adapt.evaluate import ObjectScore, ReportFacts, summarise, write_report
from adapt.evaluate.gallery import Picture

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "input", "link"}
FACTS = ReportFacts(
    title="ct_quick: 2025-01-02",
    description="Abdominal CT of 16 patients",
    lines=[("data", "16 volumes"), ("split", "12 / 2 / 2 groups")],
    curves={"training loss": [(1.0, 0.9), (2.0, 0.4), (3.0, 0.3)], "validation mIoU": [(1.0, 0.5)]},
    recipe="model:\n  checkpoint: adapt:tiny  # <tiny> & quick\n",
)


class Page(HTMLParser):
    """Tags with their attributes, and the text; fails where a tag is not closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes another tag"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def _scores(*models: str, category: str = "liver", sample_id: str = "s1") -> list[ObjectScore]:
    ious = {"base": (0.3, 0.5), "tuned": (0.7, 0.8)}
    return [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=f"{group}/{sample_id}",
            index=0,
            category=category,
            group=group,
            pixels=25,
            iou=iou,
            oracle_iou=iou + 0.1,
            dice=iou + 0.05,
            predicted_iou=0.9,
            box_iou=0.785,
            curve=(),
            nsd=0.5,
            hd95=3.0,
            unit="mm",
            mask=b"",
        )
        for model in models
        for protocol in ("one_click", "box")
        for group, iou in zip(("a", "b"), ious[model], strict=True)
    ]


def _picture(folder: Path, text: str = "liver in a/s1") -> Picture:
    path = folder / "one_click_01_worst.png"
    Image.new("RGB", (40, 20), (46, 204, 113)).save(path)
    return Picture(path=path, score=_scores("tuned")[0], rank="worst", text=text)


def _report(
    folder: Path, scores: list[ObjectScore], *, pictures: list[Picture] | None = None, facts: ReportFacts = FACTS
) -> tuple[str, Page]:
    results = summarise(scores, bootstrap_samples=100, seed=0)
    write_report(folder / "report.html", results=results, pictures=pictures or [], facts=facts)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_the_report_needs_no_other_file_and_no_network(tmp_path: Path) -> None:
    text, page = _report(tmp_path, _scores("base", "tuned"), pictures=[_picture(tmp_path)])
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text, flags=re.IGNORECASE)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert addresses and all(str(value).startswith("data:image/png;base64,") for value in addresses)


def test_pictures_are_embedded_byte_for_byte(tmp_path: Path) -> None:
    picture = _picture(tmp_path)
    _, page = _report(tmp_path, _scores("base", "tuned"), pictures=[picture])
    ((_, attributes),) = [tag for tag in page.tags if tag[0] == "img"]
    assert base64.b64decode(str(attributes["src"]).split(",")[1]) == picture.path.read_bytes()
    assert attributes["alt"] == "liver in a/s1"
    assert "one click, worst: liver in a/s1" in page.texts


def test_every_text_is_escaped(tmp_path: Path) -> None:
    facts = ReportFacts(
        title=SCRIPT,
        description=SCRIPT,
        lines=[(SCRIPT, SCRIPT)],
        curves={f'"{SCRIPT}': [(1.0, 0.1), (2.0, 0.2)]},
        recipe=SCRIPT,
    )
    scores = _scores("base", "tuned", category=SCRIPT, sample_id=SCRIPT)
    pictures = [_picture(tmp_path, text=f'" onerror="alert(1)" {SCRIPT}')]
    text, page = _report(tmp_path, scores, pictures=pictures, facts=facts)
    assert "<script" not in text
    assert page.count("script") == 0
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "".join(page.texts).count(SCRIPT) >= 8  # and all of it can be read


def test_figures_of_every_model_are_in_the_table(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base", "tuned"))
    assert ["one click", "untouched", "0.400", "0.300 to 0.500", "0.500", "0.450"] in page.rows
    assert ["one click", "tuned", "0.750", "0.700 to 0.800", "0.850", "0.800"] in page.rows
    assert ["one click", "difference", "+0.350", "+0.300 to +0.400", "", ""] in page.rows
    assert ["box", "the box itself", "0.785", "", "", ""] in page.rows
    assert "2 objects in 2 images of 2 groups" in "".join(page.texts)


def test_categories_have_a_column_for_each_model(tmp_path: Path) -> None:
    _, both = _report(tmp_path, _scores("base", "tuned"))
    assert ["prompt", "category", "untouched mIoU", "tuned mIoU"] in both.rows
    assert ["box", "liver", "0.400", "0.750"] in both.rows
    _, base = _report(tmp_path, _scores("base"))
    assert ["prompt", "category", "untouched mIoU"] in base.rows
    assert ["box", "liver", "0.400"] in base.rows
    assert not any("tuned" in cell or "difference" in cell for row in base.rows for cell in row)


def test_a_single_group_says_so(tmp_path: Path) -> None:
    _, page = _report(tmp_path, [score for score in _scores("base", "tuned") if score.group == "a"])
    assert sum(row.count("none") for row in page.rows) == 6
    assert "an interval needs at least 2 groups" in "".join(page.texts)


def test_recipe_and_facts_can_be_read(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"))
    assert FACTS.recipe in "".join(page.texts)
    assert ["data", "16 volumes"] in page.rows
    assert FACTS.description in page.texts


def test_a_curve_of_more_than_one_point_is_drawn(tmp_path: Path) -> None:
    """Epochs 1 to 3 run from left to right; 0.9 lies at the top, 0.3 at the bottom, 0.4 a sixth above it."""
    _, page = _report(tmp_path, _scores("base"))
    assert page.count("svg") == 1
    (line,) = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    points = [tuple(map(float, point.split(","))) for point in str(line).split()]
    (x1, top), (x2, middle), (x3, bottom) = points
    assert x3 - x2 == pytest.approx(x2 - x1)
    assert x1 < x2 and top < middle < bottom  # y grows downwards
    assert (bottom - middle) / (bottom - top) == pytest.approx(1 / 6, abs=0.01)
    (svg,) = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert all(0 <= x <= float(str(svg["width"])) and 0 <= y <= float(str(svg["height"])) for x, y in points)
    assert {"training loss", "0.9", "0.3", "epoch 3"} <= set(page.texts)


def test_a_level_curve_is_drawn(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, curves={"loss": [(1.0, 0.5), (2.0, 0.5)]}))
    assert page.count("polyline") == 1


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_leaves_the_rest_of_the_curve(tmp_path: Path, loss: float) -> None:
    """A run that diverged is one whose curve is looked at."""
    curves = {"loss": [(1.0, 0.5), (2.0, loss), (3.0, 0.25)]}
    text, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, curves=curves))
    assert page.count("polyline") == 1
    assert not re.search(r"[ ,\"](nan|inf)\b", text)


def test_without_pictures_and_curves_their_headings_are_left_out(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, curves={}))
    assert page.count("figure") == page.count("svg") == 0
    assert not {"Pictures", "Training"} & set(page.texts)
