"""What happens to a step whose loss is no number, or far above those before it."""

import json
import math
import statistics
from collections import deque
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from adapt.errors import RunError
from adapt.processes.collective import gathered, summed, this_process, whole
from adapt.samples import Batch

BAD_BATCHES = "bad_batches.jsonl"
WINDOW, ENOUGH = 50, 20
"""Losses whose median is looked at, and how many there must be."""
MOST_IN_A_ROW = 20
"""Steps that may be skipped one after the other: then it is not the data."""


class LossGuard(Callback):
    """Looks at loss and gradient before the optimiser does, and writes down the samples of a bad step.

    A bad step is skipped by clearing its gradients: weights and optimiser stay as they are. Several processes look at
    the same loss, the mean of all of theirs, and at the same gradient, so all decide the same.

    Attributes:
        skipped: steps, in all.
    """

    def __init__(
        self,
        folder: Path,
        *,
        on_bad: Literal["stop", "skip"],
        spike: float,
        on_spike: Literal["warn", "skip"],
        advice: str,
        console: Console,
    ) -> None:
        """Guard one training.

        Args:
            folder: receives `bad_batches.jsonl`.
            on_bad: what to do about NaN and infinity.
            spike: this many times the median loss is a spike; 0: none is.
            on_spike: what to do about it.
            advice: how to go on after a stop.
            console: for warnings.
        """
        self._folder, self._on_bad, self._spike, self._on_spike = folder, on_bad, spike, on_spike
        self._advice, self._console = advice, console
        self.skipped = self._in_a_row = 0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._loss, self._losses = math.nan, list[float]()
        self._samples: tuple[str, ...] = ()

    def state_dict(self) -> dict[str, int | list[float]]:
        """What a checkpoint keeps."""
        return {"skipped": self.skipped, "in_a_row": self._in_a_row, "recent": list(self._recent)}

    def load_state_dict(self, state_dict: dict[str, int | list[float]]) -> None:
        """What a resumed run knows."""
        skipped, in_a_row, recent = (state_dict[name] for name in ("skipped", "in_a_row", "recent"))
        assert isinstance(skipped, int) and isinstance(in_a_row, int) and isinstance(recent, list)
        self.skipped, self._in_a_row = skipped, in_a_row
        self._recent.extend(recent)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Remember which samples the next step is of."""
        self._samples = (*(self._samples if self._losses else ()), *batch.sample_ids)

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: torch.Tensor
    ) -> None:
        """Remember the loss, of all processes."""
        _, processes = this_process()
        self._losses.append(summed(loss).item() / processes)

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Let a good step pass; warn of a bad one, skip it, or stop.

        Raises:
            RunError: it is bad, and the recipe says stop; or too many were skipped one after the other.
        """
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = whole(torch.nn.utils.get_total_norm(gradients)).item()
        self._loss, self._losses = statistics.fmean(self._losses), []
        fault = self._fault(norm)
        if fault:
            self._samples = tuple(sample for samples in gathered(self._samples) for sample in samples)
            self._write(trainer, fault, norm)
        else:
            self._recent.append(self._loss)
        broken = fault in ("loss", "gradient")
        if broken and self._on_bad == "stop":
            raise RunError(
                f"{self._named(trainer, fault)}, so training has stopped before the weights took it up. {self._advice}"
            )
        if not broken and not (fault == "spike" and self._on_spike == "skip"):
            self._in_a_row = 0
            return
        self.skipped, self._in_a_row = self.skipped + 1, self._in_a_row + 1
        if self._in_a_row > MOST_IN_A_ROW:
            raise RunError(
                f"{self._named(trainer, fault)}, as that of {MOST_IN_A_ROW} steps before it, which were skipped. Lower "
                "optimizer.learning_rate, keep trainer.gradient_clip above 0, or set trainer.precision=32-true"
            )
        optimizer.zero_grad(set_to_none=True)

    def _fault(self, norm: float) -> str:
        """What is wrong with the step; nothing if it is fine."""
        if not math.isfinite(self._loss):
            return "loss"
        if not math.isfinite(norm):
            return "gradient"
        if self._spike and len(self._recent) >= ENOUGH:
            return "spike" if self._loss > self._spike * statistics.median(self._recent) else ""
        return ""

    def _named(self, trainer: lightning.Trainer, fault: str) -> str:
        what = {"loss": f"loss is {self._loss}", "spike": f"loss is {self._loss:.3g}, a spike"}
        told = what.get(fault, "gradient is not finite")
        return f"step {trainer.global_step + 1}: the {told} (samples {', '.join(self._samples)}; see {BAD_BATCHES})"

    def _write(self, trainer: lightning.Trainer, fault: str, norm: float) -> None:
        if not trainer.is_global_zero:
            return
        row = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch,
            "fault": fault,
            "loss": str(self._loss),  # JSON has no NaN
            "gradient_norm": str(norm),
            "samples": self._samples,
        }
        with (self._folder / BAD_BATCHES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self._console.print(
            f"warning: {self._named(trainer, fault)}", style="yellow", highlight=False, markup=False, soft_wrap=True
        )
