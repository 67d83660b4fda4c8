"""Pictures of the same validation objects every few epochs: one sees what the model learns, and when it stops to."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import numpy.typing as npt
from lightning.pytorch.callbacks import Callback

from adapt.callbacks.tracking import WandbTracker


@dataclass(frozen=True, eq=False)
class GalleryEntry:
    """An object and the answer of the model at this moment.

    Attributes:
        picture: PNG of image, prompt, truth and answer.
        image: (H, W, 3) uint8.
        truth, answer: (H, W) bool.
        sample_id, category, protocol: of the object and its prompt.
        iou: of the answer.
    """

    picture: Path
    image: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.bool_]
    answer: npt.NDArray[np.bool_]
    sample_id: str
    category: str
    protocol: str
    iou: float


class EpochGalleries(Callback):
    """Draws a gallery at the end of every so many epochs, to disk and, if W&B tracks the run, there as well."""

    def __init__(self, draw: Callable[[Path], Sequence[GalleryEntry]], *, every: int, folder: Path) -> None:
        """Hand over what draws.

        Args:
            draw: fills a folder with pictures of the model as it is.
            every: epochs from one gallery to the next.
            folder: receives a folder for each gallery.
        """
        self._draw, self._every, self._folder = draw, every, folder

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw, if it is time to."""
        epoch = trainer.current_epoch + 1
        if epoch % self._every or not trainer.is_global_zero:
            return
        folder = self._folder / f"epoch_{epoch:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed before it had saved this epoch
        folder.mkdir(parents=True)
        training = [(module, module.training) for module in pl_module.modules()]
        pl_module.eval()
        try:
            entries = self._draw(folder)
        finally:
            for module, was in training:
                module.training = was
        for logger in trainer.loggers:
            if isinstance(logger, WandbTracker):
                logger.log_gallery(entries, epoch=epoch)
