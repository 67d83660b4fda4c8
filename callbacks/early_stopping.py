"""Stop before the last epoch: no more progress on the domain, or too much forgotten of general images."""

from collections.abc import Callable, Sequence

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping

from adapt.callbacks.checkpoints import VALIDATION, Checkpoints
from adapt.processes.collective import from_first
from adapt.wording import counted

GENERAL = "val/general_miou"


def stop_without_progress(epochs: int) -> EarlyStopping:
    """Stop when the validation mIoU has not risen for so many epochs."""
    return EarlyStopping(monitor=VALIDATION, mode="max", patience=epochs, check_on_train_epoch_end=False)


class StopForgetting(Callback):
    """Stop when the mIoU on general images has fallen too far below that of the model as training found it.

    Each process measures, so that none waits for another, and the first one's figure counts.

    Attributes:
        untouched: mIoU before the first step; None until then. A resumed run keeps it.
        stopped_at: mIoU that was too low; None if none was.
    """

    def __init__(self, measure: Callable[[], float], *, limit: float) -> None:
        """Stop at more than `limit` below; `measure` scores the model that is trained, which is then in eval mode."""
        self._measure, self._limit = measure, limit
        self.untouched: float | None = None
        self.stopped_at: float | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Score the untouched model."""
        if self.untouched is None:
            self.untouched = self._in_eval_mode(pl_module)

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Score the model as it is, log it, and stop if it is too low."""
        assert self.untouched is not None  # a validation before training is switched off
        now = self._in_eval_mode(pl_module)
        pl_module.log(GENERAL, now)
        if now < self.untouched - self._limit:
            self.stopped_at = now
            trainer.should_stop = True
            for checkpoint in trainer.checkpoint_callbacks:
                if isinstance(checkpoint, Checkpoints):
                    checkpoint.refuse_best()

    def state_dict(self) -> dict[str, float | None]:
        """What a checkpoint keeps."""
        return {"untouched": self.untouched, "stopped_at": self.stopped_at}

    def load_state_dict(self, state_dict: dict[str, float | None]) -> None:
        """What a resumed run knows."""
        self.untouched, self.stopped_at = state_dict["untouched"], state_dict["stopped_at"]

    def _in_eval_mode(self, module: lightning.LightningModule) -> float:
        training = [part for part in module.modules() if part.training]
        module.eval()
        try:
            return from_first(self._measure())
        finally:
            for part in training:
                part.training = True


def stop_reasons(callbacks: Sequence[Callback]) -> list[str]:
    """Why training stopped before its last epoch, in words; nothing if it did not."""
    reasons = []
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopped_epoch:
            reasons.append(f"the validation mIoU has not risen for {counted(callback.patience, 'epoch')}")
        elif isinstance(callback, StopForgetting) and callback.stopped_at is not None:
            reasons.append(
                f"the mIoU on general images has fallen from {callback.untouched:.3f} to {callback.stopped_at:.3f}"
            )
    return reasons
