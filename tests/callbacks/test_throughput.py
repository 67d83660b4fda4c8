"""Throughput: waiting is told from working."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adapt.callbacks import throughput as module
from adapt.callbacks.throughput import Throughput


def test_share_of_waiting_and_samples_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock["now"])
    callback = Throughput()
    batch: Any = SimpleNamespace(groups=("a", "b"))
    nothing: Any = None

    def epoch(number: int) -> None:
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        trainer: Any = SimpleNamespace(world_size=1, current_epoch=number, strategy=strategy)
        callback.on_train_epoch_start(trainer, nothing)
        for index in range(3):
            clock["now"] += 1.0  # wait
            callback.on_train_batch_start(trainer, nothing, batch, index)
            clock["now"] += 4.0  # step
            callback.on_train_batch_end(trainer, nothing, nothing, batch, index)

    epoch(0)  # the wait for the first batch is the workers' start, and left out
    clock["now"] += 50.0  # validation is left out
    epoch(1)
    assert callback.wait_seconds == 5.0
    assert callback.step_seconds == 24.0
    assert callback.wait_share == pytest.approx(5 / 29)
    assert callback.samples_per_second == pytest.approx(12 / 29)


def test_without_a_step_there_is_no_speed() -> None:
    assert Throughput().samples_per_second == 0.0
    assert Throughput().wait_share == 0.0


def test_a_resumed_run_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock["now"])
    first, second = Throughput(), Throughput()
    nothing: Any = None
    first.on_train_start(nothing, nothing)
    clock["now"] += 7.0
    first.samples, first.step_seconds, first.wait_seconds = 12, 5.0, 1.0
    second.load_state_dict(first.state_dict())
    assert (second.seconds, second.samples_per_second, second.wait_share) == (7.0, 2.0, 1 / 6)
    second.on_train_start(nothing, nothing)
    clock["now"] += 3.0
    assert second.seconds == 10.0
