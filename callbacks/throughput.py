"""How fast training is, and how much of it is waiting for data."""

import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from adapt.samples import Batch


class Throughput(Callback):
    """Counts samples and seconds of the training batches; validation and start-up are left out.

    A resumed run goes on counting from its checkpoint.

    Attributes:
        samples: images trained on, by all processes.
        step_seconds: spent in steps.
        wait_seconds: spent between steps, waiting for the next batch.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.step_seconds = 0.0
        self.wait_seconds = 0.0
        self._ended: float | None = None
        self._started = 0.0
        self._begun: float | None = None
        self._before = 0.0

    @property
    def seconds(self) -> float:
        """Of training, in this process and in those that it goes on from."""
        return self._before + (0.0 if self._begun is None else time.perf_counter() - self._begun)

    @property
    def samples_per_second(self) -> float:
        """Images a second of training."""
        total = self.step_seconds + self.wait_seconds
        return self.samples / total if total else 0.0

    @property
    def wait_share(self) -> float:
        """Share of a step's time that is waiting for data, 0..1."""
        total = self.step_seconds + self.wait_seconds
        return self.wait_seconds / total if total else 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        names = ("seconds", "samples", "step_seconds", "wait_seconds")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """What a resumed run knows."""
        self._before, self.samples = state_dict["seconds"], int(state_dict["samples"])
        self.step_seconds, self.wait_seconds = state_dict["step_seconds"], state_dict["wait_seconds"]

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The first batch of an epoch counts as waited for, but for the start of the workers in the first epoch."""
        self._ended = time.perf_counter() if trainer.current_epoch > 0 else None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """The wait ends, the step begins."""
        self._started = time.perf_counter()
        if self._ended is not None:
            self.wait_seconds += self._started - self._ended

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 - whatever Lightning collected
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """The step ends, the wait begins."""
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()  # else the step's time would be counted as the next one's wait
        self._ended = time.perf_counter()
        self.step_seconds += self._ended - self._started
        self.samples += len(batch.groups) * trainer.world_size
