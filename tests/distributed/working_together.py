"""What the processes of a test do: small trainings of the task, by Lightning's trainer, in float64.

In float64 rounding stays far below what Adam makes of it: it gives a gradient that is all rounding, as that of a key's
bias in attention, a step as long as any other.
"""

import copy
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment, find_free_network_port
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, Strategy
from ready_processes import READY
from rich.console import Console
from small_families import SMALL, small_segmenter
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader, Dataset

from adapt.callbacks.averaging import AveragedWeights
from adapt.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from adapt.callbacks.early_stopping import StopForgetting
from adapt.callbacks.kept import newest_good
from adapt.callbacks.loss_guard import LossGuard
from adapt.callbacks.whole_between_steps import DividedInSteps, WholeBetweenSteps
from adapt.datamodules.batches import collate
from adapt.datamodules.epoch_sampler import EpochSampler, Key
from adapt.errors import RunError, StoppedError
from adapt.losses import LossWeights
from adapt.optimization import OptimizationPlan
from adapt.processes.collective import whole
from adapt.processes.sharding import ShardedStrategy
from adapt.processes.signals import Signals
from adapt.prompts import PromptSimulation, Session
from adapt.recipe import AdapterTuning, DecoderTuning, FullTuning, LoraTuning, TuningSettings
from adapt.samples import Batch
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.session import Objective
from adapt.task import AdaptTask
from adapt.tuning import choose

SIDE, SAMPLES, STEPS = 64, 17, 5
"""Of a global batch of 4, the last step of an epoch has one image: the second process has none that counts."""
MODES: dict[str, TuningSettings] = {
    "decoder": DecoderTuning(prompt_encoder=True),
    "lora": LoraTuning(rank=2, blocks=2),
    "adapter": AdapterTuning(width=4, blocks=2),
    "full": FullTuning(),
}


def in_two(work: Callable[[Path], None], folder: Path) -> None:
    """Let two processes do the work; they leave what they found in the folder."""
    port = str(find_free_network_port())
    both = [READY.Process(target=_joined, args=(work, folder, rank, port)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(400)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]


def _joined(work: Callable[[Path], None], folder: Path, rank: int, port: str) -> None:
    os.environ |= {"LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=120))
    work(folder)
    distributed.destroy_process_group()


class Images(Dataset[Batch]):
    """Noise with one to three objects each."""

    def __getitem__(self, key: Key) -> Batch:
        _, row, counted = key
        objects, noise = 1 + row % 3, torch.Generator().manual_seed(row)
        masks = torch.zeros(1, objects, SIDE, SIDE, dtype=torch.bool)
        for index in range(objects):
            top = 4 + 18 * index
            masks[0, index, top : top + 14, 5 + row : 40] = True
        return Batch(
            images=torch.randn(1, 3, SIDE, SIDE, generator=noise),
            extents=torch.full((1, 2), float(SIDE)),
            masks=masks,
            object_valid=torch.ones(1, objects, dtype=torch.bool),
            sample_keys=torch.tensor([row]),
            categories=(("thing",) * objects,),
            groups=(f"g{row}",),
            sample_ids=(f"s{row}",),
            spacings=torch.ones(1, 2),
            counted=torch.tensor([counted]),
        )


def loader(rows: int, *, batch: int, shuffle: bool) -> DataLoader[Batch]:
    return DataLoader(
        Images(), batch_size=batch, sampler=EpochSampler(range(rows), seed=0, shuffle=shuffle), collate_fn=collate
    )


class DoubleTask(AdaptTask):
    """The task with images and weights in float64."""

    def encode(self, batch: Batch) -> object:  # type: ignore[override]
        object.__setattr__(batch, "images", batch.images.double())
        return super().encode(batch)


def make_task(
    mode: str, *, box_chance: float = 0.5, sharded: bool = False, segmenter: PromptableSegmenter | None = None
) -> AdaptTask:
    torch.manual_seed(0)
    segmenter = segmenter or load_segmenter("adapt:tiny").at_input_size(SIDE)
    choose(segmenter, MODES[mode])
    weights = LossWeights(focal=20, dice=1, iou=1, alpha=0.25, gamma=2)
    task = AdaptTask(
        segmenter,
        simulation=PromptSimulation(seed=0, box_chance=box_chance, box_noise=0.1, box_noise_max=20),
        session=Session(corrections=1, clicks_per_round=1, idle_rounds=0, truth_click_chance=0, mask_prompts=False),
        objective=Objective(weights=weights, at="mask", points=0),
        plan=OptimizationPlan(
            learning_rate=1e-3, weight_decay=0.1, warmup_steps=2, schedule="cosine", total_steps=2 * STEPS
        ),
        sharded=sharded,
    )
    return task.double()


def fit(
    task: AdaptTask,
    *,
    batch: int,
    rows: int = SAMPLES,
    epochs: int = 1,
    callbacks: list[Callback] | None = None,
    strategy: Strategy | None = None,
    checkpoint: Path | None = None,
) -> lightning.Trainer:
    """Train, validate on 3 images, and hand the trainer back."""
    together = distributed.is_initialized()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=2 if together else 1,
        strategy=strategy or (DDPStrategy() if together else "auto"),
        plugins=[LightningEnvironment(), AtomicCheckpointIO()],
        max_epochs=epochs,
        gradient_clip_val=1.0,
        logger=False,
        callbacks=callbacks,
        enable_checkpointing=any(isinstance(callback, Checkpoints) for callback in callbacks or []),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    trainer.fit(task, loader(rows, batch=batch, shuffle=True), loader(3, batch=1, shuffle=False), ckpt_path=checkpoint)
    return trainer


def trained(task: AdaptTask) -> dict[str, Tensor]:
    return {name: whole(values.detach()).clone() for name, values in task.named_parameters() if values.requires_grad}


def save(folder: Path, name: str, found: object) -> None:
    rank = distributed.get_rank() if distributed.is_initialized() else "alone"
    torch.save(found, folder / f"{name}_{rank}.pt")


class Seen(Callback):
    """Writes down what a process trains on, and what of it counts."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.batches: list[int] = []

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self.batches.append(len(batch.sample_ids))
        self.counted += [name for name, counts in zip(batch.sample_ids, batch.counted.tolist(), strict=True) if counts]


CASES = [*((mode, 0.5) for mode in MODES), ("decoder", 0.0), ("decoder", 1.0), ("lora", 0.0), ("adapter", 1.0)]


def train_each_mode(folder: Path) -> None:
    """The same steps, by as many processes as there are."""
    processes = distributed.get_world_size() if distributed.is_initialized() else 1
    for mode, box_chance in CASES:
        task, seen = make_task(mode, box_chance=box_chance), Seen()
        task.__class__ = DoubleTask
        metrics = fit(task, batch=4 // processes, callbacks=[seen]).callback_metrics
        found = {"weights": trained(task), "metrics": dict(metrics), "counted": seen.counted, "batches": seen.batches}
        save(folder, f"{mode}_{box_chance}", found)


FAMILIES = [name for name in SMALL if name != "SAM"]


class Parts(Callback):
    """Writes down how many numbers of what trains, and of its gradients, a process holds when a step ends."""

    def __init__(self) -> None:
        self.held = self.all = 0

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        for parameter in pl_module.parameters():
            if parameter.requires_grad:
                assert isinstance(parameter, DTensor) and isinstance(parameter.grad, DTensor)
                self.all += 2 * parameter.numel()
                self.held += parameter.to_local().numel() + parameter.grad.to_local().numel()


def divided(task: AdaptTask, *more: Callback, rows: int = SAMPLES, epochs: int = 1) -> lightning.Trainer:
    """Train a model that two processes share."""
    callbacks = [DividedInSteps(), *more[:1], WholeBetweenSteps(), *more[1:]]
    strategy = ShardedStrategy(2, timeout=timedelta(seconds=120))
    return fit(task, batch=2, rows=rows, callbacks=callbacks, epochs=epochs, strategy=strategy)


def train_each_mode_divided(folder: Path) -> None:
    """The steps of `train_each_mode`, of a model that is divided."""
    for mode in MODES:
        task, parts = make_task(mode, sharded=True), Parts()
        task.__class__ = DoubleTask
        metrics = divided(task, parts).callback_metrics
        found = {"weights": trained(task), "metrics": dict(metrics), "held": parts.held / parts.all}
        save(folder, f"divided_{mode}", found)


def train_each_family(folder: Path) -> None:
    """A few steps of full tuning of each family, of a model that is divided and of one that is not."""
    for family in FAMILIES:
        for sharded in (False, True):
            task = make_task("full", sharded=sharded, segmenter=copy.deepcopy(small_segmenter(family)))
            task.__class__ = DoubleTask
            if sharded:
                divided(task, rows=4)
            else:
                fit(task, batch=2, rows=4)
            save(folder, f"{family}_{sharded}", trained(task))


def average_and_go_on(folder: Path) -> None:
    """Two epochs with an average of the weights; and the second one of them again, from the first one's checkpoint."""
    together = distributed.is_initialized()
    for name, epochs in (("first", 1), ("straight", 2)) if together else ():
        task = make_task("full", sharded=True)
        task.__class__ = DoubleTask
        with Signals() as signals:
            keeping = Checkpoints(folder / name, minutes=60, data="", signals=signals)
            trainer = divided(task, AveragedWeights(0.9), keeping, epochs=epochs)
        del trainer
    again = make_task("full", sharded=together)
    again.__class__ = DoubleTask
    kept = newest_good(folder / "first", tell=print)
    assert kept is not None
    with Signals() as signals:
        rest = [
            AveragedWeights(0.9),
            *([WholeBetweenSteps()] if together else []),
            Checkpoints(folder / ("again" if together else "alone"), minutes=60, data="", signals=signals),
        ]
        if together:
            strategy = ShardedStrategy(2, timeout=timedelta(seconds=120))
            fit(again, batch=2, epochs=2, callbacks=[DividedInSteps(), *rest], strategy=strategy, checkpoint=kept.path)
        else:
            fit(again, batch=4, epochs=2, callbacks=rest, checkpoint=kept.path)


class Spoiled(DoubleTask):
    """The loss of the second batch of the second process alone is no number."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        return loss * torch.nan if self.global_rank == 1 and batch_idx == 1 else loss


def guard_against_nan(folder: Path) -> None:
    """A loss that is no number, in one process: skipped, and then with an end of training."""
    for choice in ("skip", "stop"):
        task = make_task("decoder")
        task.__class__ = Spoiled
        told = folder / choice
        told.mkdir(exist_ok=True)
        guard = LossGuard(told, on_bad=choice, spike=0, on_spike="warn", advice="", console=Console(quiet=True))
        error = ""
        try:
            fit(task, batch=2, callbacks=[guard])
        except RunError as raised:
            error = str(raised)
        save(folder, f"nan_{choice}", {"weights": trained(task), "skipped": guard.skipped, "error": error})


class SignalInOne(Callback):
    """The second process receives SIGTERM in the second batch."""

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if batch_idx == 1 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def stop_by_signal(folder: Path) -> None:
    task = make_task("decoder")
    task.__class__ = DoubleTask
    received = None
    with Signals() as signals:
        checkpoints = Checkpoints(folder / "checkpoints", minutes=60, data="", signals=signals)
        try:
            fit(task, batch=2, callbacks=[checkpoints, SignalInOne()])
        except StoppedError as stopped:
            received = stopped.received.name
    save(folder, "signal", {"received": received, "steps": task.trainer.global_step})


def stop_forgetting(folder: Path) -> None:
    """The processes do not measure the same: the second one alone would stop."""
    figures = iter([0.9, 0.9, 0.9] if distributed.get_rank() == 0 else [0.9, 0.1, 0.1])
    task = make_task("decoder")
    task.__class__ = DoubleTask
    trainer = fit(task, batch=2, rows=4, epochs=2, callbacks=[StopForgetting(lambda: next(figures), limit=0.1)])
    save(folder, "forgetting", {"epochs": trainer.current_epoch, "stop": trainer.should_stop})
