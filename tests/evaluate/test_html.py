"""The report stands alone, escapes what it is given, and shows figures, pictures, curves and recipe."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from adapt.evaluate import ObjectScore, ReportFacts, Retention, VolumeScore, summarise, write_report
from adapt.evaluate.gallery import Picture

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "hr", "input", "link"}
FACTS = ReportFacts(
    title="ct_quick: 2025-01-02",
    description="Abdominal CT of 16 patients",
    cost="312 s of training on cpu, 4,058,340 trainable parameters",
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
            answer_pixels=25,
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
    folder: Path,
    scores: list[ObjectScore],
    *,
    pictures: list[Picture] | None = None,
    facts: ReportFacts = FACTS,
    general: list[ObjectScore] | None = None,
    general_name: str = "adapt:shapes_folder",
) -> tuple[str, Page]:
    results = summarise(scores, bootstrap_samples=100, seed=0)
    if general is not None:
        results = replace(results, retention=Retention(general_name, summarise(general, bootstrap_samples=100, seed=0)))
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
        cost=SCRIPT,
        lines=[(SCRIPT, SCRIPT)],
        curves={f'"{SCRIPT}': [(1.0, 0.1), (2.0, 0.2)]},
        recipe=SCRIPT,
    )
    scores = _scores("base", "tuned", category=SCRIPT, sample_id=SCRIPT)
    pictures = [_picture(tmp_path, text=f'" onerror="alert(1)" {SCRIPT}')]
    text, page = _report(tmp_path, scores, pictures=pictures, facts=facts, general=scores, general_name=SCRIPT)
    assert "<script" not in text
    assert page.count("script") == 0
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert "".join(page.texts).count(SCRIPT) >= 10  # and all of it can be read


def test_figures_of_every_model_are_in_the_table(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base", "tuned"))
    assert ["one click", "untouched", "0.400", "0.300 to 0.500", "0.500", "0.450", "0.500"] in page.rows
    assert ["one click", "tuned", "0.750", "0.700 to 0.800", "0.850", "0.800", "0.500"] in page.rows
    assert ["one click", "difference", "+0.350", "+0.300 to +0.400", "", "+0.350", "+0.000"] in page.rows
    assert ["box", "the box itself", "0.785", "", "", "", ""] in page.rows
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


def _training_charts(page: Page) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in page.tags if attributes.get("aria-label") in FACTS.curves]


def test_a_curve_of_more_than_one_point_is_drawn(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"))
    assert [attributes["aria-label"] for attributes in _training_charts(page)] == ["training loss"]
    assert "Training" in page.texts


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_leaves_the_rest_of_the_curve(tmp_path: Path, loss: float) -> None:
    """A run that diverged is one whose curve is looked at."""
    curves = {"training loss": [(1.0, 0.5), (2.0, loss), (3.0, 0.25)]}
    text, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, curves=curves))
    assert len(_training_charts(page)) == 1
    assert not re.search(r"[ ,\"](nan|inf)\b", text)


def test_each_protocol_has_its_charts(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base", "tuned"))
    labels = [str(attributes.get("aria-label")) for tag, attributes in page.tags if tag == "svg"]
    for protocol in ("one click", "box"):
        assert [label.split(": ")[1] for label in labels if label.startswith(protocol)] == [
            "mIoU of each category",
            "mIoU of each group, untouched against tuned",
            "predicted against true IoU",
        ]  # of two objects there are no thirds by size


def test_the_untouched_model_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"))
    labels = [str(attributes.get("aria-label")) for tag, attributes in page.tags if tag == "svg"]
    assert not any("tuned" in label for label in labels)
    assert "The untouched model: what tuning starts from." in page.texts


def test_clicks_have_a_curve_and_a_table(tmp_path: Path) -> None:
    curves = {"base": (0.2, 0.4, 0.86), "tuned": (0.5, 0.86, 0.95)}
    scores = [
        replace(score, protocol="clicks", curve=curves[score.model])
        for score in _scores("base", "tuned")
        if score.protocol == "box"
    ]
    _, page = _report(tmp_path, scores)
    assert any(attributes.get("aria-label") == "clicks: mIoU after each click" for _, attributes in page.tags)
    assert ["model", "@1", "@3", "NoC@85", "NoC@90", "never"] in page.rows
    assert ["tuned", "0.500", "0.950", "2.00", "3.00", "0%"] in page.rows


def test_borders_are_told_with_their_unit(tmp_path: Path) -> None:
    scores = _scores("base", "tuned")
    _, page = _report(tmp_path, scores)
    assert ["box", "tuned", "0.500", "3.00 mm", "0 of 2", "0.150"] in page.rows  # 0.9 predicted, 0.75 true
    _, page = _report(tmp_path, [replace(score, unit=score.group) for score in scores])
    assert ["box", "tuned", "0.500", "several units", "0 of 2", "0.150"] in page.rows


def test_the_surface_distance_of_volumes_names_its_tolerance(tmp_path: Path) -> None:
    volumes = [VolumeScore("base", "box", "v", "liver", "a", dice=0.5, nsd=0.25, tolerance=2.0, unit="mm")]
    results = summarise(_scores("base"), volumes=volumes, bootstrap_samples=100, seed=0)
    write_report(tmp_path / "report.html", results=results, pictures=[], facts=FACTS)
    rows = Page((tmp_path / "report.html").read_text(encoding="utf-8")).rows
    assert rows[rows.index(["prompt", "structure", "model", "3D Dice", "3D NSD at 2 mm"]) + 1] == [
        *("box", "liver", "untouched", "0.500", "0.250")
    ]


def test_the_answer_in_plain_words_comes_first(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base", "tuned"))
    assert "Tuning made the model better." in page.texts
    text = "".join(page.texts)
    assert text.index("Tuning made the model better.") < text.index("Domain mIoU")


def test_what_was_forgotten_stands_before_the_first_table(tmp_path: Path) -> None:
    swapped = {"base": "tuned", "tuned": "base"}
    worse = [replace(score, model=swapped[score.model]) for score in _scores("base", "tuned")]
    _, page = _report(tmp_path, _scores("base", "tuned"), general=worse)
    text = "".join(page.texts)
    said = "On general images the model forgot some of what it could do."
    assert text.index("Tuning made the model better.") < text.index(said) < text.index("Domain mIoU")
    assert text.index("-0.350 (-0.400 to -0.300)") < text.index("Domain mIoU")
    assert ["one click", "0.750", "0.400", "-0.350", "-0.400 to -0.300"] in page.rows
    assert "adapt:shapes_folder, 2 images" in text


def test_what_was_not_measured_is_not_spoken_of(tmp_path: Path) -> None:
    text, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, cost=""))
    assert "general images" not in text and not any("Cost" in part for part in page.texts)


def test_the_cost_stands_before_the_first_table(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base", "tuned"))
    text = "".join(page.texts)
    assert text.index(f"Cost: {FACTS.cost}.") < text.index("Domain mIoU")


def test_without_pictures_and_curves_their_headings_are_left_out(tmp_path: Path) -> None:
    _, page = _report(tmp_path, _scores("base"), facts=replace(FACTS, curves={}))
    assert page.count("figure") == len(_training_charts(page)) == 0
    assert not {"Pictures", "Training"} & set(page.texts)
