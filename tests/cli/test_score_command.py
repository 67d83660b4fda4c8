"""`adapt score` as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapt", "score", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)


def _folder(folder: Path, *, shift: int = 0) -> str:
    folder.mkdir()
    labels = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((10, 10), dtype=np.uint8)).astype(np.uint8)
    for name in ("p1_a", "p2_a"):
        Image.fromarray(np.roll(labels, shift, axis=1)).save(folder / f"{name}.png")
    return str(folder)


def test_two_folders_are_scored_and_written(tmp_path: Path) -> None:
    ours, theirs = _folder(tmp_path / "ours", shift=2), _folder(tmp_path / "theirs")
    done = _run(ours, theirs, "--group-pattern", "^(p[0-9])", "--json", str(tmp_path / "score.json"))
    assert done.returncode == 0, done.stderr
    assert "Matching AP" in done.stdout
    written = json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))
    assert written["matching_ap"] == 0.4  # IoU 8/12 is found at four of ten thresholds
    assert written["groups"] == 2


def test_two_coco_files_are_scored_whatever_their_classes_are_called(tmp_path: Path) -> None:
    files = []
    for name in ("nucleus", "object"):
        content = {
            "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 20}],
            "categories": [{"id": 1, "name": name}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "score": 0.9, "segmentation": [[2, 2, 12, 2, 12, 12, 2, 12]]}
            ],
        }
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content), encoding="utf-8")
    done = _run(str(files[1]), str(files[0]), "--ignore-classes", "--min-score", "0.5")
    assert done.returncode == 0, done.stderr
    assert "AR@1000" in done.stdout
    refused = _run(str(files[1]), str(files[0]))
    assert "category object is not in the truth" in refused.stderr


def test_edges_of_masks_are_scored_where_borders_lie(tmp_path: Path) -> None:
    files = []
    for name, shift in (("right", 0), ("wrong", 14)):
        content = {
            "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 40}],
            "categories": [{"id": 1, "name": "cell"}],
            "annotations": [
                {
                    **{"id": 1, "image_id": 1, "category_id": 1, "score": 0.9},
                    "segmentation": [[2 + shift, 2 + shift, 12 + shift, 2 + shift, 12 + shift, 12 + shift]],
                }
            ],
        }
        files.append(str(tmp_path / f"{name}.json"))
        Path(files[-1]).write_text(json.dumps(content), encoding="utf-8")
    found = []
    for prediction in files:
        done = _run(prediction, files[0], "--edges", "--json", str(tmp_path / "score.json"))
        assert done.returncode == 0, done.stderr
        assert "Edges: outer borders of masks" in done.stdout
        found.append(json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))["edges"])
    assert found[0]["ods"] == found[0]["r50"] == 1 and found[1]["ods"] == 0
    folder = _folder(tmp_path / "maps")
    refused = _run(folder, folder, "--edges")
    assert refused.returncode == 1 and "these have none; give COCO files" in refused.stderr


def test_a_missing_folder_for_the_figures_is_told_before_anything_is_read(tmp_path: Path) -> None:
    done = _run("ours", "theirs", "--json", str(tmp_path / "nowhere" / "score.json"))
    assert done.returncode == 1
    assert "its folder is not there" in done.stderr


def test_a_missing_prediction_ends_with_1_and_one_line(tmp_path: Path) -> None:
    ours, theirs = _folder(tmp_path / "ours"), _folder(tmp_path / "theirs")
    (tmp_path / "ours" / "p1_a.png").unlink()
    done = _run(ours, theirs)
    assert done.returncode == 1
    assert "1 truth without a prediction: p1_a" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_pattern_without_a_group_is_a_wrong_call(tmp_path: Path) -> None:
    done = _run("ours", "theirs", "--group-pattern", "p.")
    assert done.returncode == 2
    assert "has no group in brackets" in done.stderr


def test_neither_torch_nor_lightning_is_imported(tmp_path: Path) -> None:
    ours = _folder(tmp_path / "ours")
    code = (
        "import sys; from adapt.cli import main; main(sys.argv[1:]); print({'torch', 'lightning'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "score", ours, ours]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
