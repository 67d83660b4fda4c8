"""Progress for people: a bar while an epoch runs, one line when it is done."""

import time

import lightning
from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.console import Console

from adapt.callbacks.throughput import Throughput


def progress_bar() -> RichProgressBar:
    """Lightning's rich bar; each epoch's is wiped, since `EpochLines` leaves a line."""
    return RichProgressBar(leave=False, console_kwargs={"stderr": True})


class EpochLines(Callback):
    """Prints loss, validation mIoU, samples a second and the time left after each epoch; fit for log files."""

    def __init__(self, console: Console, throughput: Throughput) -> None:
        self._console, self._throughput = console, throughput
        self._begun = time.perf_counter()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock that the time left is estimated from."""
        self._begun = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the line."""
        metrics = trainer.callback_metrics
        done, total = trainer.current_epoch + 1, trainer.max_epochs or 1
        parts = [f"epoch {done}/{total}", f"loss {float(metrics['train/loss_epoch']):.3f}"]
        if "val/miou" in metrics:
            click, box = float(metrics["val/miou_one_click"]), float(metrics["val/miou_box"])
            parts.append(f"val mIoU: click {click:.3f}, box {box:.3f}")
        parts.append(f"{self._throughput.samples_per_second:.1f} samples/s")
        left = (time.perf_counter() - self._begun) / done * (total - done)
        if done < total:
            parts.append(f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left")
        self._console.print("  ".join(parts), highlight=False, soft_wrap=True)
