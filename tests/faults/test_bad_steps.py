"""Losses that are no numbers, and spikes: told with the samples, and nothing is lost."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_runs import Fit, fingerprint

from adapt.callbacks.kept import newest_good
from adapt.callbacks.loss_guard import MOST_IN_A_ROW
from adapt.samples import Batch
from adapt.task import AdaptTask

Spoil = Callable[[set[int], float], None]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """Multiply the losses of some steps."""

    def arm(steps: set[int], factor: float) -> None:
        real = AdaptTask.training_step

        def spoiled(self: AdaptTask, batch: Batch, batch_idx: int) -> torch.Tensor:
            loss = real(self, batch, batch_idx)
            return loss * factor if self.trainer.fit_loop.total_batch_idx in steps else loss

        monkeypatch.setattr(AdaptTask, "training_step", spoiled)

    return arm


def bad_batches(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "bad_batches.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_weights_take_it_up(
    fit: Fit,
    the_run: Callable[[], Path],
    spoil: Spoil,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
    factor: float,
) -> None:
    spoil({7}, factor)
    code = fit()
    said = capsys.readouterr().err
    kept = newest_good(the_run() / "checkpoints", tell=pytest.fail)
    measured("not a number", as_asked=code == 1, kept=kept is not None and kept.place.steps == 7)
    assert code == 1
    (bad,) = bad_batches(the_run())
    assert bad["step"] == 7 and bad["loss"] == str(factor) and len(bad["samples"]) == 4  # type: ignore[arg-type]
    assert f"step 8: the loss is {factor} (samples {', '.join(bad['samples'])}" in said  # type: ignore[arg-type]
    assert f"fit --resume {the_run()} trainer.on_bad_loss=skip" in said
    assert kept is not None and kept.place.steps == 7


@pytest.mark.slow
def test_a_run_that_stopped_for_a_loss_goes_on_when_it_may_skip(
    straight: Path,
    fit: Fit,
    the_run: Callable[[], Path],
    spoil: Spoil,
    capsys: pytest.CaptureFixture[str],
    measured: Callable[..., None],
) -> None:
    spoil({3, 7}, float("nan"))
    assert fit() == 1
    code = fit("trainer.on_bad_loss=skip", resume=the_run())
    kept = newest_good(the_run() / "checkpoints", tell=pytest.fail)
    measured("not a number", as_asked=code == 0, kept=kept is not None)
    assert code == 0
    assert "2 steps skipped for loss or gradient" in capsys.readouterr().err
    assert [bad["step"] for bad in bad_batches(the_run())] == [3, 7]
    assert fingerprint(the_run()) != fingerprint(straight)
    lines = (the_run() / "metrics.jsonl").read_text(encoding="utf-8")
    assert "NaN" not in lines and "null" not in lines


@pytest.mark.slow
def test_a_skipped_step_changes_neither_weights_nor_optimiser(
    fit: Fit, the_run: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, spoil: Spoil
) -> None:
    seen: list[list[torch.Tensor]] = []

    def look(self: AdaptTask, outputs: object, batch: Batch, batch_idx: int) -> None:
        moments = [value for state in self.optimizers().state.values() for value in state.values()]  # type: ignore[union-attr]
        weights = [p.detach() for p in self.parameters() if p.requires_grad]
        seen.append([value.clone() for value in (*weights, *moments)])

    monkeypatch.setattr(AdaptTask, "on_train_batch_end", look)
    spoil({2}, float("nan"))
    assert fit("trainer.epochs=1", "trainer.on_bad_loss=skip") == 0
    pairs = itertools.pairwise(seen)
    same = [all(torch.equal(a, b) for a, b in zip(one, two, strict=True)) for one, two in pairs]
    assert same == [False, True, False, False]


@pytest.mark.slow
def test_a_gradient_that_is_no_number_is_a_bad_step_too(
    fit: Fit, the_run: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(self: AdaptTask) -> None:
        if self.global_step == 1:
            next(p for p in self.parameters() if p.grad is not None).grad.fill_(float("inf"))  # type: ignore[union-attr]

    monkeypatch.setattr(AdaptTask, "on_after_backward", spoiled)
    assert fit("trainer.epochs=1") == 1
    (bad,) = bad_batches(the_run())
    assert (bad["fault"], bad["gradient_norm"], bad["step"]) == ("gradient", "inf", 1)


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["warn", "skip"])
def test_a_spike_is_named_and_skipped_if_asked(
    fit: Fit,
    the_run: Callable[[], Path],
    spoil: Spoil,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
) -> None:
    monkeypatch.setattr("adapt.callbacks.loss_guard.ENOUGH", 3)
    spoil({4}, 1000.0)
    assert fit("trainer.epochs=1", f"trainer.on_loss_spike={choice}") == 0
    (bad,) = bad_batches(the_run())
    assert (bad["fault"], bad["step"]) == ("spike", 4)
    said = capsys.readouterr().err
    assert "a spike (samples " in said
    assert ("1 step skipped" in said) == (choice == "skip")


@pytest.mark.slow
def test_if_every_step_is_bad_skipping_ends(
    fit: Fit, the_run: Callable[[], Path], spoil: Spoil, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(set(range(100)), float("nan"))
    assert fit("trainer.epochs=8", "trainer.on_bad_loss=skip") == 1
    assert f"as that of {MOST_IN_A_ROW} steps before it, which were skipped" in capsys.readouterr().err
