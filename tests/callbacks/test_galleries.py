"""Galleries during training: when they are drawn, of which model, and what W&B gets."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import lightning
import numpy as np
import pytest
import wandb
from PIL import Image
from torch import nn

from adapt.callbacks.galleries import EpochGalleries, GalleryEntry
from adapt.callbacks.tracking import gallery


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.tuned = nn.Linear(1, 1).eval(), nn.Dropout()


def entry(folder: Path, name: str = "a") -> GalleryEntry:
    mask = np.zeros((8, 9), dtype=bool)
    mask[2:5, 3:6] = True
    Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    return GalleryEntry(
        picture=folder / f"{name}.png",
        image=np.zeros((8, 9, 3), dtype=np.uint8),
        truth=mask,
        answer=np.roll(mask, 1, axis=0),
        sample_id=name,
        category="cell",
        protocol="box",
        iou=0.5,
    )


def end_epochs(callback: EpochGalleries, module: Module, count: int, *, first_process: bool = True) -> None:
    for epoch in range(count):
        trainer = SimpleNamespace(current_epoch=epoch, is_global_zero=first_process, loggers=[])
        callback.on_train_epoch_end(cast(lightning.Trainer, trainer), module)


def test_every_so_many_epochs_a_folder_is_filled_by_a_model_at_rest(tmp_path: Path) -> None:
    module, seen = Module(), []
    module.tuned.train()

    def draw(folder: Path) -> list[GalleryEntry]:
        seen.append((folder.name, module.tuned.training))
        return [entry(folder)]

    end_epochs(EpochGalleries(draw, every=2, folder=tmp_path / "gallery"), module, 5)
    assert seen == [("epoch_0002", False), ("epoch_0004", False)]
    assert sorted(path.name for path in (tmp_path / "gallery").iterdir()) == ["epoch_0002", "epoch_0004"]
    assert module.tuned.training and not module.frozen.training  # as it was


def test_only_the_first_process_draws(tmp_path: Path) -> None:
    end_epochs(EpochGalleries(lambda folder: [], every=1, folder=tmp_path / "g"), Module(), 2, first_process=False)
    assert not (tmp_path / "g").exists()


def test_a_drawing_that_fails_leaves_the_model_in_training(tmp_path: Path) -> None:
    module = Module()

    def fail(folder: Path) -> list[GalleryEntry]:
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        end_epochs(EpochGalleries(fail, every=1, folder=tmp_path / "g"), module, 1)
    assert module.tuned.training


@pytest.fixture
def run(tmp_path: Path) -> Iterator["wandb.Run"]:
    wandb.teardown()
    started = wandb.init(mode="offline", dir=str(tmp_path), settings=wandb.Settings(silent=True, console="off"))
    yield started
    started.finish()
    wandb.teardown()


def test_wandb_gets_layers_and_a_table(tmp_path: Path, run: "wandb.Run") -> None:
    logged: dict[str, Any] = gallery([entry(tmp_path, "a"), entry(tmp_path, "b")], epoch=3)
    table = logged["gallery_objects"]
    assert [row[:5] for row in table.data] == [[3, "a", "cell", "box", 0.5], [3, "b", "cell", "box", 0.5]]
    assert len(logged["gallery"]) == 2
    run.log(logged)  # what is logged is what W&B takes
    media = Path(run.dir) / "media"
    masks = list(media.rglob("*.mask.png"))
    assert len(masks) == 2  # truth and answer; W&B stores equal ones once
    assert {int(np.asarray(Image.open(path)).sum()) for path in masks} == {9}
    tables = [json.loads(path.read_text(encoding="utf-8")) for path in media.rglob("*.table.json")]
    assert len(tables) == 1 and len(tables[0]["data"]) == 2
