"""Metrics as files: lines as they happen, a table at the end, also after a killed run."""

import csv
import json
from pathlib import Path

from adapt.callbacks.metrics_files import MetricsFiles, drop_lines_after, read_metrics


def test_lines_are_there_before_the_run_ends_and_a_row_an_epoch_after(tmp_path: Path) -> None:
    files = MetricsFiles(tmp_path)
    files.log_metrics({"train/loss_step": 2.0, "epoch": 0}, step=9)
    assert json.loads((tmp_path / "metrics.jsonl").read_bytes()) == {
        "step": 9,
        "train/loss_step": 2.0,
        "epoch": 0.0,
    }
    files.log_metrics({"val/miou": 0.5, "epoch": 0}, step=19)
    files.log_metrics({"train/loss_epoch": 1.5, "epoch": 0}, step=19)
    files.log_metrics({"train/loss_epoch": 1.0, "epoch": 1}, step=39)
    assert not (tmp_path / "metrics.csv").exists()
    files.finalize("success")
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text(encoding="utf-8").splitlines()))
    assert rows == [
        {"epoch": "1", "train/loss": "1.5", "val/miou": "0.5"},
        {"epoch": "2", "train/loss": "1.0", "val/miou": ""},
    ]


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    MetricsFiles(tmp_path).log_metrics({"train/loss": float("nan"), "epoch": 0}, step=1)
    assert json.loads((tmp_path / "metrics.jsonl").read_bytes()) == {
        "step": 1,
        "train/loss": None,
        "epoch": 0.0,
    }


def test_a_line_that_a_killed_run_left_half_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "a": 1.0}\n{"step": 2, "a"')
    assert read_metrics(tmp_path) == [{"step": 1, "a": 1.0}]


def test_no_file_is_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_what_came_after_a_checkpoint_is_dropped_since_it_comes_again(tmp_path: Path) -> None:
    files = MetricsFiles(tmp_path)
    for step, name, epoch in (
        (9, "train/loss_step", 0),
        (10, "val/miou", 0),
        (10, "train/loss_epoch", 0),
        (19, "train/loss_step", 1),
        (21, "val/miou", 1),
    ):
        files.log_metrics({name: 1.0, "epoch": epoch}, step=step)

    def left(*, steps: int, epochs: int) -> list[float]:
        drop_lines_after(tmp_path / "metrics.jsonl", steps=steps, epochs=epochs)
        return [line["step"] for line in read_metrics(tmp_path)]

    assert left(steps=22, epochs=2) == [9, 10, 10, 19, 21]
    assert left(steps=22, epochs=1) == [9, 10, 10, 19]  # the validation of the second epoch comes again
    assert left(steps=15, epochs=1) == [9, 10, 10]
    assert left(steps=11, epochs=0) == [9]
    drop_lines_after(tmp_path / "none.jsonl", steps=0, epochs=0)
    assert not (tmp_path / "none.jsonl").exists()
