"""Runs side by side, by hand-computed differences; other objects are refused."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from adapt.errors import ResultsError, RunError
from adapt.evaluate import ObjectScore
from adapt.evaluate.objects import write_objects
from adapt.evaluate.side_by_side import Comparison, compare_runs, read_runs
from adapt.evaluate.side_by_side_tables import print_comparison, write_comparison

# One object in each of the groups a and b.
FIRST, SECOND = {"a": 0.5, "b": 0.7}, {"a": 0.6, "b": 0.9}


def _scores(ious: dict[str, float], *, model: str = "tuned", protocol: str = "box") -> list[ObjectScore]:
    return [
        ObjectScore(
            model=model,
            protocol=protocol,
            sample_id=f"{group}/s1",
            index=0,
            category="liver",
            group=group,
            pixels=10,
            answer_pixels=10,
            iou=iou,
            curve=(iou / 2, iou),
            oracle_iou=iou,
            dice=iou / 2,
            predicted_iou=0.5,
            box_iou=0.5,
            nsd=iou / 5,
            hd95=1.0,
            unit="mm",
        )
        for group, iou in ious.items()
    ]


def _run(folder: Path, scores: Sequence[ObjectScore]) -> Path:
    folder.mkdir()
    write_objects(scores, folder)
    facts = {"recipe": "medical_ct", "checkpoint": "adapt:tiny"}
    (folder / "results.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def _compared(folders: list[Path], *, only_common: bool = False) -> Comparison:
    return compare_runs(read_runs(folders), only_common=only_common, bootstrap_samples=1000, seed=0)


def test_a_run_is_paired_with_the_first_by_group(tmp_path: Path) -> None:
    """Gains 0.1 and 0.2; of two groups the bounds are the groups."""
    found = _compared([_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", _scores(SECOND))])
    one, two = found.protocols["box"]
    assert (one.figures.miou, two.figures.miou) == (pytest.approx(0.6), pytest.approx(0.75))
    assert one.difference is None and two.difference is not None
    gain = two.difference
    assert (gain.miou, gain.low, gain.high) == (pytest.approx(0.15), pytest.approx(0.1), pytest.approx(0.2))
    assert (gain.dice.mean, gain.nsd.mean) == (pytest.approx(0.075), pytest.approx(0.03))
    assert (found.objects, found.groups, found.left_out, found.only_some) == (2, 2, [0, 0], [])


def test_each_of_many_runs_is_paired_with_the_first(tmp_path: Path) -> None:
    folders = [
        _run(tmp_path / str(n), _scores({group: iou + 0.1 * n for group, iou in FIRST.items()})) for n in range(3)
    ]
    gains = [entry.difference for entry in _compared(folders).protocols["box"]]
    assert [None if gain is None else round(gain.miou, 9) for gain in gains] == [None, 0.1, 0.2]


def test_clicks_to_quality_are_paired_too(tmp_path: Path) -> None:
    one = [replace(score, curve=(0.1, 0.2, 0.9)) for score in _scores(FIRST, protocol="clicks")]
    two = [replace(score, curve=(0.1, 0.9, 0.9)) for score in _scores(SECOND, protocol="clicks")]
    _, entry = _compared([_run(tmp_path / "one", one), _run(tmp_path / "two", two)]).protocols["clicks"]
    assert entry.difference is not None and entry.difference.noc85 is not None
    assert entry.difference.noc85.mean == -1


def test_the_tuned_model_counts_where_there_is_one(tmp_path: Path) -> None:
    both = [*_scores(FIRST, model="base"), *_scores(SECOND)]
    folders = [_run(tmp_path / "untouched", _scores(FIRST, model="base")), _run(tmp_path / "run", both)]
    assert [run.model for run in read_runs(folders)] == ["base", "tuned"]
    one, two = _compared(folders).protocols["box"]
    assert (one.figures.miou, two.figures.miou) == (pytest.approx(0.6), pytest.approx(0.75))


@pytest.mark.parametrize(
    "change",
    [
        {"sample_id": "other"},
        {"index": 1},
        {"category": "spleen"},
        {"group": "c"},
        {"pixels": 11},
    ],
)
def test_other_objects_are_refused_unless_the_common_ones_are_asked_for(
    tmp_path: Path, change: dict[str, object]
) -> None:
    other = [replace(score, **change) if score.group == "b" else score for score in _scores(SECOND)]  # type: ignore[arg-type]
    folders = [_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", other)]
    with pytest.raises(ResultsError, match=r"different objects: .*one 2, .*two 2; 1 are common\. --common"):
        _compared(folders)
    found = _compared(folders, only_common=True)
    assert (found.objects, found.left_out) == (1, [1, 1])
    assert found.protocols["box"][1].figures.miou == pytest.approx(0.6)


def test_nothing_in_common_is_refused_in_any_case(tmp_path: Path) -> None:
    folders = [_run(tmp_path / "one", _scores({"a": 0.5})), _run(tmp_path / "two", _scores({"b": 0.5}))]
    for only_common in (False, True):
        with pytest.raises(ResultsError, match="none is common"):
            _compared(folders, only_common=only_common)


def test_protocols_that_not_all_have_are_left_out_and_named(tmp_path: Path) -> None:
    more = [*_scores(SECOND), *_scores(SECOND, protocol="one_click")]
    found = _compared([_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", more)])
    assert list(found.protocols) == ["box"]
    assert found.only_some == ["one_click"]


def test_no_protocol_in_common_is_refused(tmp_path: Path) -> None:
    folders = [_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", _scores(FIRST, protocol="clicks"))]
    with pytest.raises(ResultsError, match=r"no protocol in common \(box, clicks\)"):
        _compared(folders)


def test_fewer_than_two_runs_and_a_run_twice_are_refused(tmp_path: Path) -> None:
    folder = _run(tmp_path / "one", _scores(FIRST))
    with pytest.raises(ResultsError, match="two runs or more"):
        read_runs([folder])
    with pytest.raises(ResultsError, match="named twice"):
        read_runs([folder, tmp_path / "." / "one"])


@pytest.mark.parametrize("text", ["", "[]", '{"recipe": "x"}', "{", "\x00"])
def test_results_that_are_none_of_ours_are_told(tmp_path: Path, text: str) -> None:
    one, two = _run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", _scores(FIRST))
    (two / "results.json").write_text(text, encoding="utf-8")
    with pytest.raises(ResultsError, match=r"two/results\.json cannot be read"):
        read_runs([one, two])


def test_the_table_names_runs_by_number_and_fits(tmp_path: Path) -> None:
    clicks = [_scores(ious, protocol="clicks") for ious in (FIRST, SECOND)]
    folders = [
        _run(tmp_path / "one", [*_scores(FIRST), *clicks[0]]),
        _run(tmp_path / "two", [*_scores(SECOND), *clicks[1]]),
    ]
    console = Console(file=StringIO(), width=80)
    print_comparison(_compared(folders), console)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]
    assert f"2  {folders[1]}: medical_ct, adapt:tiny, tuned" in lines
    assert ["box", "1", "0.600", "0.500 to 0.700", "0.300", "0.120"] in cells
    assert ["box", "2", "0.750", "0.600 to 0.900", "0.375", "0.150"] in cells
    assert ["box", "2 - 1", "+0.150", "+0.100 to +0.200", "+0.075", "+0.030"] in cells
    assert ["clicks", "2 - 1", "+0.00", "+0.000 to +0.000", "+0.00", "+0.000 to +0.000"] in cells


def test_files_hold_all_figures_and_differences(tmp_path: Path) -> None:
    folders = [_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", _scores(SECOND))]
    write_comparison(_compared(folders), tmp_path / "new" / "folder")
    data = json.loads((tmp_path / "new" / "folder" / "compare.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in data["runs"]] == [str(folder) for folder in folders]
    assert data["protocols"]["box"][0]["difference"] is None
    assert data["protocols"]["box"][1]["difference"]["dice"]["mean"] == pytest.approx(0.075)
    with (tmp_path / "new" / "folder" / "compare.csv").open(encoding="utf-8", newline="") as file:
        one, two = csv.DictReader(file)
    assert (one["run"], one["miou_difference"], one["noc85"]) == (str(folders[0]), "", "")
    assert float(two["miou_difference"]) == pytest.approx(0.15)
    assert float(two["nsd_difference_high"]) == pytest.approx(0.04)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folders = [_run(tmp_path / "one", _scores(FIRST)), _run(tmp_path / "two", _scores(SECOND))]
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match="--output"):
        write_comparison(_compared(folders), tmp_path / "file" / "below")
