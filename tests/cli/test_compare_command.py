"""`adapt compare` from the command line: exit codes and messages."""

import subprocess
import sys
from pathlib import Path

from adapt.evaluate import ObjectScore
from adapt.evaluate.objects import write_objects


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapt", "compare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)


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


def test_two_runs_are_compared_and_written(tmp_path: Path) -> None:
    done = _run(_folder(tmp_path / "one", 0.5), _folder(tmp_path / "two", 0.75), "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "+0.250" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["compare.csv", "compare.json"]


def test_a_folder_without_results_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = _run(_folder(tmp_path / "one", 0.5), str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"adapt: error: {tmp_path / 'nowhere' / 'objects.csv'} cannot be read")
    assert len(done.stderr.splitlines()) == 1
