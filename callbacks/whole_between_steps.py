"""A divided model is put together for all that is not a training step.

Two callbacks, since what changes the weights between steps (an average that is put into the model) changes the parts:
the first stands in front of it, the second behind it, and in front of all that looks at the model.
"""

import lightning
from lightning.pytorch.callbacks import Callback

from adapt.processes.sharding import divide, put_together
from adapt.samples import Batch


class DividedInSteps(Callback):
    """Divides the model before the first step that follows anything else."""

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """A step follows."""
        divide(pl_module)


class WholeBetweenSteps(Callback):
    """Puts the model together before anything looks at it."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Some score the untouched model."""
        put_together(pl_module)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Processes validate images of their own."""
        put_together(pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The same without validation."""
        put_together(pl_module)
