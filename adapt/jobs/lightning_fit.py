"""Lightning's fit, whose errors of workers and disks say what to do."""

import errno
import multiprocessing
import warnings
from pathlib import Path

import lightning

from adapt.datamodules import SegmentationDataModule
from adapt.errors import RunError
from adapt.task import AdaptTask
from adapt.unwritable import unwritable

NO_SHARED_MEMORY = "unable to allocate shared memory"
"""As torch says it."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a line of a metrics file, a folder or a picture may meet; checkpoints say so themselves."""


def lightning_fit(
    trainer: lightning.Trainer, task: AdaptTask, data: SegmentationDataModule, checkpoint: Path | None
) -> None:
    """Lightning's fit.

    Raises:
        RunError: the workers that load data died, or gave nothing for too long; or the disk is full.
    """
    others = set(multiprocessing.active_children())
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*ended before the epoch ended and your dataloader.*"
        )  # ours resumes
        try:
            trainer.fit(task, datamodule=data, ckpt_path=checkpoint)
        except RuntimeError as error:
            told = _of_workers(str(error))
            if told is None:
                raise
            raise RunError(told) from None
        except OSError as error:
            if error.errno not in DISK_ERRORS:
                raise
            place = error.filename or trainer.default_root_dir
            raise RunError(unwritable(place, error, "then resume from the last checkpoint")) from None
        finally:
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()  # Python would wait for one that is stuck, for ever
                worker.join()


def _of_workers(text: str) -> str | None:
    """What to do about an error of the workers that load data; None for any other error."""
    error = text.splitlines()[0] if text else ""
    if NO_SHARED_MEMORY in text:
        return (
            f"/dev/shm is full ({text[text.index(NO_SHARED_MEMORY) :].splitlines()[0]}), so training has stopped: what "
            "the workers load passes through it. Give a container more of it (--shm-size), lower trainer.workers or "
            "trainer.batch_size, or set trainer.workers=0; then resume"
        )
    if not error.startswith("DataLoader"):
        return None
    if "timed out" in error:
        return (
            f"the workers that load data gave nothing for trainer.loader_timeout seconds ({error}), so training has "
            "stopped. A disk or a network share that hangs is the usual reason; then resume, or raise it, or set "
            "trainer.workers=0"
        )
    return (
        f"a worker that loads data has died ({error}), so training has stopped. Want of memory is the usual reason: "
        "lower trainer.workers or trainer.batch_size, or give a container more of /dev/shm (--shm-size); then resume"
    )
