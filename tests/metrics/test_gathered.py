"""A validation that processes share gives the domain mIoU of one process to the last bit."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas
import pytest
import torch
from ready_processes import READY
from torch import Tensor, distributed
from torch.utils.data import DistributedSampler, TensorDataset

from adapt.losses import LossWeights
from adapt.metrics.gathered import GatheredMeanIou
from adapt.optimization import OptimizationPlan
from adapt.prompts import PromptSimulation, Session
from adapt.samples import Batch
from adapt.segmenters import load_segmenter
from adapt.session import Objective
from adapt.task import AdaptTask

SAMPLES, OBJECTS = 1001, 3  # an odd number, so that the sampler of two processes pads
Deal = list[list[int]]
"""The samples of each process."""


@dataclass(frozen=True)
class Scored:
    ious: npt.NDArray[np.float64]
    key: int
    categories: list[str]
    group: str


def _scored() -> list[Scored]:
    """Samples of up to three objects, of few groups and categories, which are not equally frequent."""
    random = np.random.default_rng(0)
    keys = random.permutation(1 << 20)[:SAMPLES].tolist()
    samples = []
    for key in keys:
        count = int(random.integers(1, OBJECTS + 1))
        categories = random.choice(["liver", "spleen", "vessel"], size=count, p=[0.7, 0.2, 0.1]).tolist()
        group = f"p{int(random.integers(5)) * int(random.integers(5))}"
        samples.append(Scored(random.random(count), key, categories, group))
    return samples


def _updated(samples: list[int]) -> GatheredMeanIou:
    metric, scored = GatheredMeanIou(), _scored()
    for number in samples:
        sample = scored[number]
        metric.update(sample.ious, key=sample.key, categories=sample.categories, group=sample.group)
    return metric


def _batch(number: int) -> Batch:
    """One image with one or two objects."""
    masks = torch.zeros(1, 2, 256, 256, dtype=torch.bool)
    masks[0, 0, 20 : 90 + 9 * number, 30:200] = True
    masks[0, 1, 150:220, 40 + number : 120] = number % 2 == 0
    return Batch(
        images=torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(number)),
        extents=torch.full((1, 2), 256.0),
        masks=masks,
        object_valid=masks.flatten(2).any(2),
        sample_keys=torch.tensor([1000 - number]),
        categories=(("a", "b")[: int(masks.flatten(2).any(2).sum())],),
        groups=("g",) if number else ("h",),
        sample_ids=(str(number),),
        spacings=torch.ones(1, 2),
    )


def _validated(samples: list[int]) -> tuple[Tensor, Tensor]:
    """What a task has found after these images, by a click and by a box."""
    torch.set_num_threads(1)
    task = AdaptTask(
        load_segmenter("adapt:tiny"),
        simulation=PromptSimulation(seed=0, box_chance=0.5, box_noise=0.1, box_noise_max=20),
        session=Session(corrections=0, clicks_per_round=1, idle_rounds=0, truth_click_chance=0, mask_prompts=True),
        objective=Objective(weights=LossWeights(focal=20, dice=1, iou=1, alpha=0.25, gamma=2), at="mask", points=0),
        plan=OptimizationPlan(learning_rate=1e-3, weight_decay=0, warmup_steps=0, schedule="cosine", total_steps=1),
    )
    with torch.no_grad():
        for number in samples:
            task.validation_step(_batch(number), 0)
    return task.miou_one_click.compute(), task.miou_box.compute()


def _process(rank: int, deals: dict[str, Deal], images: Deal, folder: Path) -> None:
    """One of two processes: its share of each deal, and what it gathers."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found: dict[str, Tensor] = {name: _updated(deal[rank]).compute() for name, deal in deals.items()}
    found["click"], found["box"] = _validated(images[rank])
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def _dealt(count: int) -> Deal:
    """By torch's own sampler, which pads."""
    data = TensorDataset(torch.zeros(count))
    return [list(DistributedSampler(data, num_replicas=2, rank=rank, shuffle=False)) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_equal_one_to_the_last_bit(tmp_path: Path) -> None:
    padded = _dealt(SAMPLES)
    assert sorted(padded[0] + padded[1]) != list(range(SAMPLES))  # a sample is dealt out twice
    everything = list(range(SAMPLES))
    deals: dict[str, Deal] = {
        "padded": padded,
        "uneven": [everything[:7], everything[7:]],
        "all to one": [[], everything],
        "all to both": [everything, everything[::-1]],
    }
    images = _dealt(3)
    assert images == [[0, 2], [1, 0]]
    both = [READY.Process(target=_process, args=(rank, deals, images, tmp_path)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(400)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    of_ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    one = _updated(everything).compute()
    click, box = _validated([0, 1, 2])
    assert 0 < click < 1 and 0 < box < 1 and click != box
    for found in of_ranks:
        for name in deals:
            assert torch.equal(found[name], one), name
        assert torch.equal(found["click"], click)
        assert torch.equal(found["box"], box)


def test_the_figure_is_the_mean_over_objects_then_categories_then_groups() -> None:
    table = pandas.DataFrame(
        [(s.group, name, iou) for s in _scored() for name, iou in zip(s.categories, s.ious.tolist(), strict=True)],
        columns=["group", "category", "iou"],
    )
    expected = table.groupby(["group", "category"]).iou.mean().groupby("group").mean().mean()
    assert abs(expected - table.iou.mean()) > 1e-3  # else the test could not tell the two means apart
    assert float(_updated(list(range(SAMPLES))).compute()) == pytest.approx(float(expected), abs=1e-7)


@pytest.mark.parametrize(
    "change", [lambda s: s[::-1], lambda s: s + s[:5], lambda s: s[500:] + s], ids=["turned", "padded", "twice"]
)
def test_neither_order_nor_repetition_changes_the_figure(change: Callable[[list[int]], list[int]]) -> None:
    everything = list(range(SAMPLES))
    assert torch.equal(_updated(change(everything)).compute(), _updated(everything).compute())


def test_a_new_epoch_begins_without_samples() -> None:
    metric = _updated([1, 2, 3])
    metric.compute()
    metric.reset()
    metric.update(np.array([0.25]), key=7, categories=["liver"], group="p0")
    assert metric.compute() == 0.25


def test_no_sample_has_no_mean() -> None:
    metric = GatheredMeanIou()
    with pytest.warns(UserWarning, match="called before"):  # torchmetrics' own
        assert metric.compute().isnan()
