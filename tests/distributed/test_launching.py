"""`fit` on two processes, started by Lightning, torchrun and SLURM: it trains the same, stops, and goes on."""

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from launching import (
    LONGEST,
    PLAIN,
    RECIPE,
    TORCHRUN,
    ended,
    fingerprint,
    launched,
    newest_checkpoint,
    only_run,
    wait_for,
)
from safetensors.torch import load_file

from adapt.callbacks.kept import best_good
from adapt.callbacks.state_file import read_state
from adapt.features import kept_entries

pytestmark = pytest.mark.slow

MIDDLE = "epoch_00001_batch_000001"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recipe, and with the cache of all runs."""
    folder = tmp_path_factory.mktemp("launching")
    (folder / "small.yaml").write_text(f"{RECIPE}cache: {folder}/cache\n", encoding="utf-8")
    return folder


def fit(place: Path, output: Path, *more: str) -> list[str]:
    return ["fit", "--recipe", str(place / "small.yaml"), f"output={output}", *more]


@pytest.fixture(scope="module")
def straight(place: Path) -> Path:
    """A run of two processes that Lightning started and nobody stopped."""
    log = place / "straight.log"
    assert ended([*PLAIN, *fit(place, place / "two", "trainer.devices=2")], log) == 0, log.read_text(encoding="utf-8")
    return only_run(place / "two")


def test_plain_launch_runs_the_command_again_and_one_process_speaks_and_writes(straight: Path, place: Path) -> None:
    said = (place / "straight.log").read_text(encoding="utf-8")
    assert said.count("epoch 3/3") == said.count("Domain mIoU") == 1
    assert "3 epochs of 5 steps, 15 in all, on 2 devices with 2 images each, 4 a step" in said
    assert (straight / "report.html").is_file()
    lines = (straight / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == len(lines)


def test_the_figures_are_those_of_one_process_with_the_whole_batch(straight: Path, place: Path) -> None:
    log = place / "one.log"
    assert ended([*PLAIN, *fit(place, place / "one", "trainer.batch_size=4")], log) == 0
    one, two = (
        [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        for run in (only_run(place / "one"), straight)
    )
    assert [row for row in one if "val/miou" in row] == [row for row in two if "val/miou" in row]
    for alone, together in zip(one, two, strict=True):
        assert alone == pytest.approx(together, rel=1e-4, abs=1e-6)


def test_two_processes_end_together_after_their_most_steps(place: Path, tmp_path: Path) -> None:
    """Seven of five steps an epoch: the second one is cut short in both, and validated."""
    runs = {"one": "trainer.batch_size=4", "two": "trainer.devices=2"}
    lines = {}
    for name, how in runs.items():
        log = tmp_path / f"{name}.log"
        assert ended([*PLAIN, *fit(place, tmp_path / name, how, "trainer.max_steps=7")], log) == 0
        said = log.read_text(encoding="utf-8")
        assert "2 epochs of 5 steps, 7 in all" in said and said.count("epoch 2/2") == 1
        text = (only_run(tmp_path / name) / "metrics.jsonl").read_text(encoding="utf-8")
        lines[name] = [json.loads(line) for line in text.splitlines()]
    assert [row["step"] for row in lines["two"] if "val/miou" in row] == [4, 6]
    for alone, together in zip(lines["one"], lines["two"], strict=True):
        assert alone == pytest.approx(together, rel=1e-4, abs=1e-6)


def test_a_divided_model_trains_to_the_same_figures_from_cached_features_and_is_written_whole(
    straight: Path, place: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    command = [*PLAIN, *fit(place, tmp_path / "runs", "trainer.devices=2", "trainer.strategy=fsdp2")]
    assert ended(command, log) == 0, log.read_text(encoding="utf-8")
    divided, plain = only_run(tmp_path / "runs"), straight
    weights, expected = (load_file(run / "model" / "model.safetensors") for run in (divided, plain))
    assert weights.keys() == expected.keys()
    untouched = [torch.equal(weights[name], values) for name, values in expected.items() if "vision" in name]
    assert untouched and all(untouched)
    assert all(weights[name].shape == values.shape for name, values in expected.items())
    best = read_state(best_good(divided / "checkpoints", tell=pytest.fail).path)["state_dict"]
    assert best
    assert all(torch.equal(values, weights[name.removeprefix("segmenter.model.")]) for name, values in best.items())
    one, two = (
        [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        for run in (plain, divided)
    )
    for of_plain_row, of_divided_row in zip(one, two, strict=True):
        assert of_divided_row == pytest.approx(of_plain_row, rel=1e-3, abs=1e-5)


def test_a_run_that_torchrun_was_told_to_end_goes_on_to_the_same_bits(
    straight: Path, place: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    command = [*TORCHRUN, *fit(place, tmp_path / "runs", "--resume", "auto", "trainer.checkpoint_minutes=0")]
    with launched(command, log) as torchrun:
        wait_for(lambda: newest_checkpoint(tmp_path / "runs") >= MIDDLE, torchrun, log)
        torchrun.send_signal(signal.SIGTERM)
        assert torchrun.wait(LONGEST) != 0
    assert log.read_text(encoding="utf-8").count("adapt: stopped by SIGTERM, all is saved; resume with") == 1
    assert MIDDLE < newest_checkpoint(tmp_path / "runs") < "epoch_00002_batch_000004"
    assert ended(command, log) == 0, log.read_text(encoding="utf-8")
    assert fingerprint(only_run(tmp_path / "runs")) == fingerprint(straight)


def test_under_slurm_a_signal_to_one_task_stops_all_with_its_exit_code_and_any_launcher_goes_on(
    straight: Path, place: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "fit", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    job |= {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": "29517"}
    command = [*PLAIN, *fit(place, tmp_path / "runs", "trainer.checkpoint_minutes=0")]
    with ExitStack() as running:
        tasks: list[subprocess.Popen[bytes]] = []
        for number in range(2):
            task = job | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
            tasks.append(running.enter_context(launched(command, log, environment=task)))
        wait_for(lambda: newest_checkpoint(tmp_path / "runs") >= MIDDLE, tasks[0], log)
        tasks[1].send_signal(signal.SIGUSR1)
        assert [task.wait(LONGEST) for task in tasks] == [128 + signal.SIGUSR1, 0], log.read_text(encoding="utf-8")
    assert newest_checkpoint(tmp_path / "runs") < "epoch_00002_batch_000004"
    assert ended([*PLAIN, "fit", "--resume", str(only_run(tmp_path / "runs"))], log) == 0
    assert fingerprint(only_run(tmp_path / "runs")) == fingerprint(straight)


def test_when_one_process_is_killed_the_other_ends_and_says_so(place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [*PLAIN, *fit(place, tmp_path / "runs", "trainer.devices=2", "trainer.checkpoint_minutes=0")]
    with launched(command, log) as first:
        wait_for(lambda: newest_checkpoint(tmp_path / "runs") >= MIDDLE, first, log)
        (second,) = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text(encoding="utf-8").split()
        os.kill(int(second), signal.SIGKILL)
        assert first.wait(LONGEST) in (1, -signal.SIGKILL)  # Lightning kills one that is slow to end
    assert "adapt: error: another process of this run has ended" in log.read_text(encoding="utf-8")


def test_an_error_that_all_have_is_told_once(place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [*PLAIN, *fit(place, tmp_path / "runs", "trainer.devices=2", f"data.root={tmp_path}/missing")]
    assert ended(command, log) == 1
    assert log.read_text(encoding="utf-8").count("adapt: error:") == 1


def test_two_processes_share_the_images_when_they_warm_the_cache(place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [
        *TORCHRUN,
        "cache",
        "warm",
        "--recipe",
        str(place / "small.yaml"),
        f"cache={tmp_path}",
        "augment.noise=1.0",
    ]
    assert ended(command, log) == 0, log.read_text(encoding="utf-8")
    entries = len(list(kept_entries(tmp_path / "features")))
    assert entries == 17 * 4 + 5 + 2  # views of those to train on; validation; test
    assert f"{entries} images encoded, 0 were there" in log.read_text(encoding="utf-8")
