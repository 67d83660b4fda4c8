"""The last epoch may be cut short by `trainer.max_steps`; Lightning counts the batches of the first one alone."""

import lightning
from lightning.pytorch.callbacks import Callback


class ShortLastEpoch(Callback):
    """Tells Lightning how many batches the epoch has that begins, so that its last one is validated, and saved.

    With Lightning's own `max_steps` a training ends without either. A run that is resumed within its last epoch counts
    them itself.
    """

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """The sampler knows by now which epoch begins."""
        loader = trainer.train_dataloader
        assert loader is not None
        trainer.fit_loop.max_batches = trainer.val_check_batch = len(loader)
