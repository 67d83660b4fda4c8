"""A signal ends a training within a step, saved, with the conventional exit code; and it can go on from there."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import STEPS, Fit, fingerprint, soaked, strays

from adapt.processes.signals import Signals, leave_signals_to_the_main_process
from adapt.task import AdaptTask

Send = Callable[[str, int, list[signal.Signals]], None]


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """Let a hook of the task receive signals, once, after so many optimiser steps."""

    def arm(hook: str, steps: int, signals: list[signal.Signals]) -> None:
        real, waiting = getattr(AdaptTask, hook), list(signals)

        def signalled(self: AdaptTask, *arguments: object) -> object:
            while waiting and self.global_step == steps:
                os.kill(os.getpid(), waiting.pop(0))
            return real(self, *arguments)

        monkeypatch.setattr(AdaptTask, hook, signalled)

    return arm


WHERE = [
    ("training_step", 2, "epoch_00000_batch_000003"),
    ("training_step", STEPS - 1, "epoch_00000_batch_000005"),  # the last step of an epoch: validation is to come
    ("validation_step", STEPS, "epoch_00000_batch_000005"),
    ("on_validation_epoch_end", STEPS, "epoch_00001_batch_000000"),
    ("on_validation_epoch_end", 2 * STEPS, "epoch_00002_batch_000000"),  # the very end of training
    ("on_fit_end", 2 * STEPS, "epoch_00002_batch_000000"),  # when nothing is left to be saved
]


@pytest.mark.slow
@pytest.mark.parametrize(("hook", "steps", "newest"), WHERE)
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1] if soaked(0, 1) else [signal.SIGTERM]
)
def test_a_signal_saves_within_a_step_and_ends_with_its_exit_code(
    straight: Path,
    fit: Fit,
    the_run: Callable[[], Path],
    send: Send,
    capsys: pytest.CaptureFixture[str],
    hook: str,
    steps: int,
    newest: str,
    number: signal.Signals,
) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)]
    send(hook, steps, [number])
    assert fit("trainer.checkpoint_minutes=60") == 128 + number
    said = capsys.readouterr().err
    assert f"adapt: stopped by {number.name}, all is saved; resume with: python -m adapt fit --resume " in said
    assert max(path.stem for path in (the_run() / "checkpoints").glob("*.json")) == newest
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)] == before
    assert fit(resume=the_run()) == 0
    assert fingerprint(the_run()) == fingerprint(straight)
    assert strays(the_run()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "model"), [(signal.SIGINT, True), (signal.SIGUSR1, False)])
def test_ctrl_c_leaves_a_model_to_look_at_and_a_scheduler_does_not_wait_for_one(
    fit: Fit,
    the_run: Callable[[], Path],
    send: Send,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    model: bool,
) -> None:
    send("training_step", 3, [number])
    assert fit() == 128 + number
    assert (the_run() / "model").is_dir() == model
    assert (f"the model so far is kept: adapt evaluate {the_run()}" in capsys.readouterr().err) == model
    assert fit(resume=the_run()) == 0


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_without_harm(
    straight: Path, fit: Fit, the_run: Callable[[], Path], send: Send, capsys: pytest.CaptureFixture[str]
) -> None:
    send("training_step", 3, [signal.SIGINT, signal.SIGINT])
    assert fit() == 130
    assert "adapt: interrupted" in capsys.readouterr().err
    assert max(path.stem for path in (the_run() / "checkpoints").glob("*.json")) == "epoch_00000_batch_000003"
    assert fit(resume=the_run()) == 0
    assert fingerprint(the_run()) == fingerprint(straight)


def test_the_first_signal_is_noted_and_ctrl_c_after_it_is_obeyed() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.received == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_workers_leave_signals_to_the_main_process() -> None:
    child = os.fork()
    if child == 0:
        leave_signals_to_the_main_process(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
