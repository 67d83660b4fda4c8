"""The table in the terminal and the files beside it, read back with the standard library."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from adapt.errors import RunError
from adapt.evaluate import ObjectScore, Results, VolumeScore, print_table, summarise, write_tables
from adapt.evaluate.tables import TITLES, volume_header, warnings
from adapt.protocols import PROTOCOLS

IOUS = {"base": (0.61249, 0.3), "tuned": (0.81251, 0.7)}
# Means 0.456245 and 0.756255, gain 0.30001. Of two groups the bounds are the groups themselves.


def _scores(*models: str, groups: tuple[str, ...] = ("a", "b")) -> list[ObjectScore]:
    return [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=f"{group}/slice1",
            index=0,
            category="liver",
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
        for group, iou in zip(groups, IOUS[model], strict=False)
    ]


def _clicked(*models: str, clicks: int = 20) -> list[ObjectScore]:
    """Untouched needs 12 clicks to 0.85 and never gets to 0.9; tuned needs 3 and 5."""
    curves = {"base": [0.3] * 11 + [0.86] * 9, "tuned": [0.4, 0.6, 0.85, 0.87] + [0.93] * 16}
    return [
        replace(score, protocol="clicks", curve=tuple(curves[score.model][:clicks]))
        for score in _scores(*models)
        if score.protocol == "box"
    ]


def _results(scores: list[ObjectScore]) -> Results:
    return summarise(scores, bootstrap_samples=200, seed=0)


def _printed(scores: list[ObjectScore], *, width: int = 100) -> list[list[str]]:
    """Cells of each line of the table as it is printed."""
    console = Console(file=StringIO(), width=width)
    print_table(_results(scores), console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines()]


def test_the_table_shows_figures_of_three_digits() -> None:
    lines = _printed(_scores("base", "tuned"))
    assert ["one click", "untouched", "0.456", "0.300 to 0.612", "0.556", "0.506", "0.500"] in lines
    assert ["one click", "tuned", "0.756", "0.700 to 0.813", "0.856", "0.806", "0.500"] in lines
    assert ["one click", "difference", "+0.300", "+0.200 to +0.400", "", "+0.300", "+0.000"] in lines
    assert ["box", "the box itself", "0.785", "", "", "", ""] in lines
    assert sum(line[0] == "box" for line in lines) == 4


def test_clicks_have_a_table_of_their_own() -> None:
    lines = _printed(_clicked("base", "tuned"))
    assert ["model", "@1", "@3", "@5", "@10", "@20", "NoC@85", "NoC@90", "never"] in [
        [cell.strip() for cell in line[0].split("┃")] for line in lines
    ]
    assert ["untouched", "0.300", "0.300", "0.300", "0.300", "0.860", "12.00", "20.00", "100%"] in lines
    assert ["tuned", "0.400", "0.850", "0.930", "0.930", "0.930", "3.00", "5.00", "0%"] in lines
    assert ["difference", "", "", "", "", "", "-9.00", "-15.00", ""] in lines


def test_clicks_are_shown_as_far_as_there_are() -> None:
    lines = _printed(_clicked("base", clicks=4))
    assert ["untouched", "0.300", "0.300", "4.00", "4.00", "100%"] in lines


def test_a_terminal_of_80_characters_leaves_out_borders_and_breaks_no_cell() -> None:
    lines = _printed([*_scores("base", "tuned"), *_clicked("base", "tuned")], width=80)
    assert ["one click", "tuned", "0.756", "0.700 to 0.813", "0.856", "0.806"] in lines
    assert ["one click", "difference", "+0.300", "+0.200 to +0.400", "", ""] in lines
    assert ["untouched", "0.300", "0.300", "0.300", "0.300", "0.860", "12.00", "20.00", "100%"] in lines
    assert ["tuned", "0.400", "0.850", "0.930", "0.930", "0.930", "3.00", "5.00", "0%"] in lines


def test_corrections_that_do_harm_are_pointed_out() -> None:
    assert not any("corrections" in text for text in warnings(_results(_clicked("base", "tuned"))))
    falling = [replace(score, curve=(0.7, 0.6)) for score in _clicked("base", "tuned")]
    assert any("0.700 after the first click, 0.600 after 2" in text for text in warnings(_results(falling)))


def test_single_prompts_have_no_table_of_clicks() -> None:
    assert not any("NoC" in cell for line in _printed(_scores("base", "tuned")) for cell in line)


def _volumes(tolerances: tuple[float, float] = (2.0, 2.0), units: tuple[str, str] = ("mm", "mm")) -> list[VolumeScore]:
    return [
        VolumeScore("base", "box", group, category, group, dice, dice / 2, tolerances[place], units[place])
        for group, place, category, dice in (("a", 0, "liver", 0.5), ("a", 0, "spleen", 0.9), ("b", 1, "liver", 0.3))
    ]


@pytest.mark.parametrize(
    ("volumes", "told"),
    [
        (_volumes(), "3D NSD at 2 mm"),
        (_volumes((1.5625, 2.0)), "3D NSD at 1.56 to 2 mm"),
        (_volumes(units=("mm", "px")), "3D NSD (several units)"),
    ],
    ids=["one tolerance", "two pixels of several sizes", "several units"],
)
def test_the_surface_distance_of_volumes_is_shown_with_its_tolerance(volumes: list[VolumeScore], told: str) -> None:
    results = summarise(_scores("base"), volumes=volumes, bootstrap_samples=100, seed=0)
    assert volume_header(results)[-1] == told
    console = Console(file=StringIO(), width=100)
    print_table(results, console)
    assert isinstance(console.file, StringIO) and told in console.file.getvalue()


def test_without_volumes_there_is_no_header_of_them() -> None:
    assert volume_header(_results(_scores("base"))) == []


def test_volumes_have_a_table_of_their_own() -> None:
    volumes = _volumes()
    console = Console(file=StringIO(), width=100)
    print_table(summarise(_scores("base"), volumes=volumes, bootstrap_samples=100, seed=0), console)
    assert isinstance(console.file, StringIO)
    lines = [[cell.strip() for cell in line.strip("│").split("│")] for line in console.file.getvalue().splitlines()]
    assert ["box", "liver", "untouched", "0.400", "0.200"] in lines
    assert ["box", "spleen", "untouched", "0.900", "0.450"] in lines
    assert ["box", "mean", "untouched", "0.500", "0.250"] in lines


def test_every_protocol_has_a_title() -> None:
    assert TITLES.keys() == PROTOCOLS.keys()


def test_a_loss_has_its_sign() -> None:
    swapped = [replace(s, model="tuned" if s.model == "base" else "base") for s in _scores("base", "tuned")]
    assert ["one click", "difference", "-0.300", "-0.400 to -0.200", "", "-0.300", "+0.000"] in _printed(swapped)


def test_tuning_that_did_harm_and_answers_below_the_box_are_pointed_out() -> None:
    better = _results(_scores("base", "tuned"))
    assert not [text for text in warnings(better) if "worse than the untouched" in text]
    swapped = [replace(s, model="tuned" if s.model == "base" else "base") for s in _scores("base", "tuned")]
    found = warnings(_results(swapped))
    assert sum("worse than the untouched" in text for text in found) == 2
    assert any("worth less than the box itself (0.785)" in text for text in found)


@pytest.mark.parametrize("groups", [("a", "b"), ("a",)])
def test_a_loss_that_may_be_chance_is_not_called_worse(groups: tuple[str, ...]) -> None:
    tuned = {"a": 0.1, "b": 0.7}  # untouched 0.4 and 0.5: the mean falls, and the interval holds 0 or is missing
    untouched = {"a": 0.4, "b": 0.5}
    found = warnings(
        _results(
            [
                replace(score, iou=(tuned if score.model == "tuned" else untouched)[score.group])
                for score in _scores("base", "tuned", groups=groups)
            ]
        )
    )
    assert sum("below the untouched one, which may be chance" in text for text in found) == 2
    assert not any("worse than the untouched" in text for text in found)


def test_the_filled_box_is_no_figure_of_clicks() -> None:
    assert not any(line[:2] == ["one click", "the box itself"] for line in _printed(_scores("base")))


def test_the_untouched_model_alone_has_no_other_lines() -> None:
    lines = _printed(_scores("base"))
    assert {line[1] for line in lines if len(line) == 7} == {"untouched", "the box itself"}


def test_a_single_group_says_what_an_interval_needs() -> None:
    lines = _printed(_scores("base", "tuned", groups=("a",)))
    assert ["one click", "tuned", "0.813", "none", "0.913", "0.863", "0.500"] in lines
    assert ["one click", "difference", "+0.200", "none", "", "+0.200", "+0.000"] in lines


def test_the_caption_counts_what_was_measured() -> None:
    console = Console(file=StringIO(), width=100)
    print_table(_results(_scores("base", "tuned")), console)
    assert isinstance(console.file, StringIO)
    assert "2 objects in 2 images of 2 groups" in console.file.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_json_holds_the_figures_and_the_facts(tmp_path: Path) -> None:
    scores = _scores("base", "tuned")
    write_tables(_results(scores), scores, tmp_path, facts={"recipe": "ct_quick", "versions": {"torch": "2.7"}})
    data = json.loads((tmp_path / "results.json").read_bytes())
    assert data["protocols"]["one_click"]["tuned"]["miou"] == pytest.approx(0.756255)
    assert data["objects"] == 2
    assert data["recipe"] == "ct_quick"
    assert data["versions"] == {"torch": "2.7"}


def test_results_csv_has_a_row_for_each_protocol_and_model(tmp_path: Path) -> None:
    scores = _scores("base", "tuned")
    write_tables(_results(scores), scores, tmp_path, facts={})
    rows = {(row["protocol"], row["model"]): row for row in _rows(tmp_path / "results.csv")}
    models = {(name, key) for name in ("one_click", "box") for key in ("base", "tuned", "difference")}
    assert rows.keys() == {*models, ("box", "box_as_mask")}
    tuned = rows["one_click", "tuned"]
    found = [float(tuned[key]) for key in ("miou", "low", "high", "oracle_miou", "dice")]
    assert found == pytest.approx([0.756255, 0.7, 0.81251, 0.856255, 0.806255])  # not rounded
    gain = rows["one_click", "difference"]
    assert [float(gain[key]) for key in ("miou", "low", "high")] == pytest.approx([0.30001, 0.20002, 0.4])
    assert float(gain["dice"]) == pytest.approx(0.30001)
    assert gain["oracle_miou"] == ""


def test_results_csv_has_what_clicks_have_and_leaves_it_empty_elsewhere(tmp_path: Path) -> None:
    scores = [*_scores("base", "tuned"), *_clicked("base", "tuned")]
    write_tables(_results(scores), scores, tmp_path, facts={})
    rows = {(row["protocol"], row["model"]): row for row in _rows(tmp_path / "results.csv")}
    columns = ("noc85", "noc90", "never85", "never90")
    assert [float(rows["clicks", "base"][name]) for name in columns] == [12, 20, 0, 1]
    assert [rows["clicks", "difference"][name] for name in columns] == ["-9.0", "-15.0", "", ""]
    assert {rows["box", "tuned"][name] for name in columns} == {""}
    border = rows["box", "tuned"]
    assert [border[name] for name in ("nsd", "hd95", "unit", "missed")] == ["0.5", "3.0", "mm", "0"]


def test_results_csv_leaves_a_missing_interval_empty(tmp_path: Path) -> None:
    scores = _scores("base", groups=("a",))
    write_tables(_results(scores), scores, tmp_path, facts={})
    assert [(row["model"], row["low"], row["high"]) for row in _rows(tmp_path / "results.csv")] == [
        ("base", "", ""),
        ("base", "", ""),
        ("box_as_mask", "", ""),
    ]


def test_objects_csv_has_a_row_for_each_object_protocol_and_model(tmp_path: Path) -> None:
    scores = _scores("base", "tuned")
    write_tables(_results(scores), scores, tmp_path, facts={})
    rows = _rows(tmp_path / "objects.csv")
    assert len({(row["sample_id"], row["index"], row["protocol"], row["model"]) for row in rows}) == len(rows) == 8
    for row, score in zip(rows, scores, strict=True):
        for name in ("model", "protocol", "sample_id", "category", "group"):
            assert row[name] == getattr(score, name)
        for name in ("index", "pixels", "iou", "oracle_iou", "dice", "predicted_iou", "box_iou"):
            assert float(row[name]) == getattr(score, name)  # to the last bit, so that figures can be recomputed


def test_names_with_commas_quotes_lines_and_accents_survive_the_csv(tmp_path: Path) -> None:
    awkward = 'kidney, "left"\nZürich 東京'
    scores = [replace(score, category=awkward, sample_id=awkward) for score in _scores("base")]
    write_tables(_results(scores), scores, tmp_path, facts={})
    rows = _rows(tmp_path / "objects.csv")
    assert len(rows) == len(scores)
    assert {(row["category"], row["sample_id"]) for row in rows} == {(awkward, awkward)}


def test_a_folder_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    scores = _scores("base")
    with pytest.raises(RunError, match=r"gone/results\.json"):
        write_tables(_results(scores), scores, tmp_path / "gone", facts={})
