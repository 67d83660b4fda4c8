"""A moving average of the weights that train: smoother than the last step's, and often better.

Lightning's `WeightAveraging` would do, but it copies the whole model, the frozen encoder included, and has the average
in the model for validation only, not for what else looks at the model between epochs.
"""

from collections.abc import Mapping
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from adapt.processes.collective import part_of, whole
from adapt.samples import Batch

RAW = "weights_that_train_on"
"""Of a checkpoint: name to weights without averaging, of what trains; `state_dict` has the average."""


class AveragedWeights(Callback):
    """After each optimiser step, average = decay * average + (1 - decay) * weights; the first average is untouched.

    From the end of an epoch's steps to the first batch of the next the model carries the average: so validation, the
    measure of forgetting, galleries and checkpoints are of it. Training goes on from the weights themselves.
    """

    def __init__(self, decay: float) -> None:
        """See `OptimizerSettings.ema`."""
        self._update = get_ema_multi_avg_fn(decay)
        self._aside: dict[str, Tensor] = {}
        self._averaged_inside = False
        self._steps = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin with the weights as they are, unless a checkpoint has brought an average."""
        weights = _trained(pl_module)
        begun = self._aside or {name: value.detach().clone() for name, value in weights.items()}
        self._aside = {name: part_of(begun[name], value.detach()) for name, value in weights.items()}
        self._steps = trainer.global_step

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Training goes on from the weights themselves."""
        self._put_inside(pl_module, averaged=False)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - whatever Lightning collected
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Average, if the batch has ended a step."""
        if trainer.global_step > self._steps:
            self._steps = trainer.global_step
            weights = _trained(pl_module)
            with torch.no_grad():
                self._update([self._aside[name] for name in weights], list(weights.values()), self._steps)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """What is validated is the average."""
        self._put_inside(pl_module, averaged=True)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The same without validation: whatever looks at the model now sees the average."""
        self._put_inside(pl_module, averaged=True)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Both are kept: the average as the weights of the model, and those that training goes on from."""
        inside = {name: whole(weights.detach()).to("cpu", copy=True) for name, weights in _trained(pl_module).items()}
        aside = {name: whole(weights).cpu() for name, weights in self._aside.items()}
        averaged, raw = (inside, aside) if self._averaged_inside else (aside, inside)
        checkpoint["state_dict"] = {**checkpoint["state_dict"], **averaged}
        checkpoint[RAW] = raw

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: Mapping[str, Any]
    ) -> None:
        """A resumed run has both again; the average is in the model by now."""
        if RAW in checkpoint:  # else the run that it is of did not average
            self._aside, self._averaged_inside = dict(checkpoint[RAW]), True

    @torch.no_grad()
    def _put_inside(self, module: lightning.LightningModule, *, averaged: bool) -> None:
        """Exchange what is in the model with what lies aside, if it is the other one."""
        if averaged == self._averaged_inside or not self._aside:
            return
        for name, weights in _trained(module).items():
            kept = weights.detach().clone()
            weights.copy_(self._aside[name])
            self._aside[name] = kept
        self._averaged_inside = averaged


def _trained(module: lightning.LightningModule) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
