"""Training ends where it should, and the weights that are kept are those of an epoch that may be kept."""

from collections.abc import Sequence
from pathlib import Path

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from adapt.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from adapt.callbacks.early_stopping import StopForgetting, stop_reasons, stop_without_progress
from adapt.callbacks.kept import Kept, best_good, newest_good
from adapt.processes.signals import Signals

EPOCHS = 6


class Scripted(lightning.LightningModule):
    """Its weight grows by one an epoch, and its validation scores are given."""

    def __init__(self, scores: Sequence[float]) -> None:
        super().__init__()
        self.scores = scores
        self.layer, self.frozen = nn.Linear(1, 1, bias=False), nn.Dropout()
        nn.init.zeros_(self.layer.weight)

    def on_fit_start(self) -> None:
        self.frozen.eval()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return -self.layer.weight.sum()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/miou", self.scores[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Measure:
    """Gives scripted scores of the general images, and notes whether the model is in eval mode."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores, self.modes = list(scores), list[bool]()
        self.model: nn.Module | None = None

    def __call__(self) -> float:
        if self.model is not None:
            self.modes.append(self.model.training)
        return self.scores.pop(0)


def _fit(folder: Path, model: Scripted, *stops: Callback, resume: bool = False) -> int:
    """Optimiser steps that were done in all; there is one an epoch."""
    data = DataLoader(TensorDataset(torch.zeros(1, 1)), num_workers=0)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[Checkpoints(folder, minutes=60, data="", signals=Signals()), *stops],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    newest = newest_good(folder, tell=print) if resume else None
    trainer.fit(model, data, data, ckpt_path=None if newest is None else newest.path)
    return trainer.global_step


def _weight(kept: Kept | None) -> float:
    assert kept is not None
    return float(AtomicCheckpointIO().load_checkpoint(kept.path)["state_dict"]["layer.weight"])


def _best(folder: Path) -> float:
    return _weight(best_good(folder, tell=print))


def _last(folder: Path) -> float:
    return _weight(newest_good(folder, tell=print))


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers.*",
    "ignore:.*isinstance.treespec, LeafSpec.*",
    "ignore:.*in eval mode at the start of training.*",
)

RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_training_goes_on_while_validation_rises(tmp_path: Path) -> None:
    stop = stop_without_progress(1)
    assert _fit(tmp_path, Scripted(RISING), stop) == EPOCHS
    assert stop_reasons([stop]) == []


def test_training_ends_after_epochs_without_progress_and_the_best_is_kept(tmp_path: Path) -> None:
    stop = stop_without_progress(2)
    assert _fit(tmp_path, Scripted([0.1, 0.4, 0.3, 0.4, 0.9, 0.9]), stop) == 4
    assert _best(tmp_path) == 2.0
    assert stop_reasons([stop]) == ["the validation mIoU has not risen for 2 epochs"]


def test_training_ends_when_too_much_is_forgotten_and_keeps_nothing_from_there(tmp_path: Path) -> None:
    measure = Measure([0.8, 0.9, 0.75, 0.69])
    stop = StopForgetting(measure, limit=0.1)
    assert _fit(tmp_path, Scripted(RISING), stop) == 3
    assert stop.untouched == 0.8
    assert _best(tmp_path) == 2.0  # the third epoch is better on the domain
    assert _last(tmp_path) == 3.0
    assert stop_reasons([stop]) == ["the mIoU on general images has fallen from 0.800 to 0.690"]


def test_what_is_forgotten_within_the_limit_stops_nothing(tmp_path: Path) -> None:
    stop = StopForgetting(Measure([0.8, *[0.71] * EPOCHS]), limit=0.1)
    assert _fit(tmp_path, Scripted(RISING), stop) == EPOCHS
    assert _best(tmp_path) == EPOCHS
    assert stop_reasons([stop]) == []


def test_the_model_is_measured_in_eval_mode_and_trained_as_before(tmp_path: Path) -> None:
    measure, model = Measure([0.8] * (EPOCHS + 1)), Scripted(RISING)
    measure.model = model.layer
    modes = []

    class Watch(Callback):
        def on_train_batch_start(self, *arguments: object) -> None:
            modes.append((model.layer.training, model.frozen.training))

    _fit(tmp_path, model, StopForgetting(measure, limit=0.1), Watch())
    assert measure.modes == [False] * (EPOCHS + 1)
    assert modes == [(True, False)] * EPOCHS


def test_the_score_is_logged_and_the_untouched_one_survives_a_restart(tmp_path: Path) -> None:
    stop = StopForgetting(Measure([0.8, *RISING]), limit=1.0)
    _fit(tmp_path, Scripted(RISING), stop)
    newest = newest_good(tmp_path, tell=print)
    assert newest is not None
    saved = AtomicCheckpointIO().load_checkpoint(newest.path)["callbacks"]["StopForgetting"]
    again = StopForgetting(Measure([]), limit=1.0)
    again.load_state_dict(saved)
    again.on_train_start(None, None)  # type: ignore[arg-type]  # it has nothing to ask them
    assert again.untouched == 0.8


@pytest.mark.parametrize("forgets", [False, True])
def test_a_training_that_was_stopped_is_not_trained_on_when_it_is_resumed(tmp_path: Path, forgets: bool) -> None:
    def rule() -> Callback:
        return StopForgetting(Measure([0.8, 0.1]), limit=0.1) if forgets else stop_without_progress(1)

    scores = [0.1] * EPOCHS
    steps = _fit(tmp_path, Scripted(scores), rule())
    assert 0 < steps < EPOCHS
    again, model = rule(), Scripted(scores)
    assert _fit(tmp_path, model, again, resume=True) == steps
    assert model.layer.weight.item() == steps
    assert len(stop_reasons([again])) == 1
