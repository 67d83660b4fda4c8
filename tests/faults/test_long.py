"""A long training keeps no file open, and takes no more memory at its end than when it was warm."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import STEPS, Fit, soaked

from adapt.samples import Batch
from adapt.task import AdaptTask

EPOCHS = soaked(4, 100)
WARM = STEPS * EPOCHS // 2


def resident() -> int:
    """Bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_memory_and_open_files_stay_what_they_were(
    fit: Fit, the_run: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, measured: Callable[..., None]
) -> None:
    memory, files = list[int](), list[int]()

    def look(self: AdaptTask, outputs: object, batch: Batch, batch_idx: int) -> None:
        memory.append(resident())
        files.append(len(os.listdir("/proc/self/fd")))

    monkeypatch.setattr(AdaptTask, "on_train_batch_end", look)
    assert fit(f"trainer.epochs={EPOCHS}", "trainer.workers=2", "evaluation.gallery_every=0") == 0
    growth, more = memory[-1] / memory[WARM] - 1, min(files[WARM:]) - min(files[STEPS:WARM])
    measured("long", steps=len(memory), growth=growth, files=more)
    assert len(memory) == STEPS * EPOCHS
    assert more <= 0  # the least of each half: batches on their way hold some
    assert growth < 0.05
    assert len(list((the_run() / "checkpoints").glob("*.ckpt"))) <= 3
