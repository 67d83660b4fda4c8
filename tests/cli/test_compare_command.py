"""`adapt compare` from the command line: exit codes and messages."""

from pathlib import Path

import pytest

from adapt.cli import main
from adapt.evaluate import ObjectScore
from adapt.evaluate.objects import write_objects


def _folder(folder: Path, iou: float) -> str:
    folder.mkdir()
    write_objects(
        [
            ObjectScore(
                model="tuned",
                protocol="box",
                sample_id=f"{group}/s1",
                index=0,
                category="liver",
                group=group,
                pixels=10,
                answer_pixels=10,
                iou=iou,
                curve=(iou,),
                oracle_iou=iou,
                dice=iou,
                predicted_iou=iou,
                box_iou=iou,
                nsd=iou,
                hd95=1.0,
                unit="mm",
            )
            for group in ("a", "b")
        ],
        folder,
    )
    (folder / "results.json").write_text('{"recipe": "medical_ct", "checkpoint": "adapt:tiny"}', encoding="utf-8")
    return str(folder)


def test_two_runs_are_compared_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [_folder(tmp_path / "one", 0.5), _folder(tmp_path / "two", 0.75)]
    assert main(["compare", *folders, "--output", str(tmp_path / "out")]) == 0
    assert "+0.250" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.csv", "compare.json"]


def test_a_folder_without_results_ends_with_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", _folder(tmp_path / "one", 0.5), str(tmp_path / "nowhere")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"adapt: error: {tmp_path / 'nowhere' / 'objects.csv'} cannot be read")
    assert len(said.splitlines()) == 1
