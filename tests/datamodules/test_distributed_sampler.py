"""Samples dealt out to processes: each once an epoch, as many to each, and a fit of two processes that ends."""

import os
from pathlib import Path

import lightning
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback
from test_task import PLAIN, SINGLE, make_batch, one_image, plan, simulation
from torch.utils.data import DataLoader, Dataset

from adapt.datamodules.base import EpochSampler, Key, collate, dealt
from adapt.samples import Batch
from adapt.segmenters import load_segmenter
from adapt.task import AdaptTask
from adapt.tuning import tune_decoder

OBJECTS = (3, 1, 2)
"""Of each sample; their number is odd."""


@given(order=st.lists(st.integers(0, 10**6), min_size=1, max_size=40, unique=True), processes=st.integers(1, 3))
def test_each_sample_is_dealt_out_and_all_processes_take_as_many(order: list[int], processes: int) -> None:
    shares = [dealt(order, process=process, processes=processes) for process in range(processes)]
    assert len({len(share) for share in shares}) == 1
    together = [row for places in zip(*shares, strict=True) for row in places]
    assert together[: len(order)] == order  # each once, in the order of one process
    again = together[len(order) :]
    assert len(again) < processes
    assert set(again) <= set(order)


def test_one_process_takes_everything() -> None:
    assert dealt([4, 2, 9], process=0, processes=1) == [4, 2, 9]


def test_fewer_samples_than_processes_are_taken_by_all() -> None:
    assert [dealt([7], process=process, processes=3) for process in range(3)] == [[7], [7], [7]]


def test_nothing_is_dealt_out_of_nothing() -> None:
    assert dealt([], process=1, processes=2) == []


@given(
    rows=st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True),
    epoch=st.integers(0, 3),
    done=st.integers(0, 20),
)
def test_a_sampler_that_goes_on_gives_what_is_left_of_its_epoch_and_then_whole_ones(
    rows: list[int], epoch: int, done: int
) -> None:
    whole, resumed = (EpochSampler(rows, seed=5, shuffle=True, start=at) for at in ((0, 0), (epoch, done)))
    whole.set_epoch(epoch)
    assert list(resumed) == list(whole)[done:]  # workers ask before the epoch is set
    for later in (epoch, epoch + 1):
        for sampler in (whole, resumed):
            sampler.set_epoch(later)
        assert list(resumed) == list(whole)[done if later == epoch else 0 :]
    assert len(resumed) == len(rows)


class Rows(Dataset[Batch]):
    def __getitem__(self, key: Key) -> Batch:
        return one_image(make_batch(OBJECTS), key[1], OBJECTS[key[1]])


class Seen(Callback):
    """Writes down the samples of each process, and what validation found."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._samples = folder, list[list[str]]()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._samples.append([])

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._samples[-1] += batch.sample_ids

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        found = {"samples": self._samples, "miou": trainer.callback_metrics["val/miou"]}
        torch.save(found, self._folder / f"{trainer.world_size}_{trainer.global_rank}.pt")


def _loader(*, shuffle: bool) -> DataLoader[Batch]:
    return DataLoader(Rows(), sampler=EpochSampler(range(len(OBJECTS)), seed=0, shuffle=shuffle), collate_fn=collate)


def _fit(folder: Path, *, devices: int) -> None:
    """Two epochs at a rate of 0, so that the figures of validation are those of the same weights."""
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    still = plan(learning_rate=0.0, weight_decay=0.0)
    task = AdaptTask(segmenter, simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=still)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=devices,
        strategy="ddp_spawn" if devices > 1 else "auto",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[Seen(folder)],
    )
    trainer.fit(task, _loader(shuffle=True), _loader(shuffle=False))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")  # Lightning's
def test_a_fit_of_two_processes_ends_and_sees_every_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, Path(__file__).parents[:2])]))
    _fit(tmp_path, devices=1)
    _fit(tmp_path, devices=2)
    one, *both = (torch.load(tmp_path / f"{name}.pt") for name in ("1_0", "2_0", "2_1"))
    for epoch in range(2):
        shares = [found["samples"][epoch] for found in both]
        assert [len(share) for share in shares] == [2, 2]
        assert [row for rows in zip(*shares, strict=True) for row in rows][: len(OBJECTS)] == one["samples"][epoch]
    assert both[0]["miou"] == both[1]["miou"] == one["miou"]
