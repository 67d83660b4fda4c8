"""The LightningModule: one encoder run a step, what trains, checkpoints' content."""

import copy

import pytest
import torch

from adapt.losses import LossWeights, ObjectLosses, mean_over_objects
from adapt.optimization import OptimizationPlan
from adapt.prompts import PromptSimulation, Session
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, PromptableSegmenter, load_segmenter
from adapt.session import Objective, session_losses
from adapt.task import AdaptTask
from adapt.tuning import trainable_names, tune_decoder

SINGLE = Session(corrections=0, clicks_per_round=1, idle_rounds=0, truth_click_chance=0, mask_prompts=True)
WEIGHTS = LossWeights(focal=20, dice=1, iou=1, alpha=0.25, gamma=2)
PLAIN = Objective(weights=WEIGHTS, at="mask", points=0)


def simulation(box_chance: float) -> PromptSimulation:
    return PromptSimulation(seed=0, box_chance=box_chance, box_noise=0.1, box_noise_max=20)


def plan(**changes: float | str) -> OptimizationPlan:
    values = {"learning_rate": 1e-3, "weight_decay": 0.01, "warmup_steps": 4, "schedule": "cosine", "total_steps": 20}
    return OptimizationPlan(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    return segmenter


def make_batch(objects: tuple[int, ...] = (3, 1, 2)) -> Batch:
    """Images with a different number of objects each; the rest is padding."""
    generator = torch.Generator().manual_seed(0)
    count, most = len(objects), max(objects)
    masks = torch.zeros(count, most, 256, 256, dtype=torch.bool)
    valid = torch.zeros(count, most, dtype=torch.bool)
    for image, number in enumerate(objects):
        for index in range(number):
            top = 20 + 70 * index
            masks[image, index, top : top + 50, 40 + 30 * image : 160] = True
            valid[image, index] = True
    return Batch(
        images=torch.randn(count, 3, 256, 256, generator=generator),
        extents=torch.full((count, 2), 256.0),
        masks=masks,
        object_valid=valid,
        sample_keys=torch.arange(count) + 1,
        categories=tuple(("organ",) * number for number in objects),
        groups=tuple(f"p{image}" for image in range(count)),
        sample_ids=tuple(f"s{image}" for image in range(count)),
        spacings=torch.ones(count, 2),
    )


def one_image(batch: Batch, image: int, objects: int) -> Batch:
    """An image of a batch alone, without its padding objects."""
    return Batch(
        images=batch.images[image : image + 1],
        extents=batch.extents[image : image + 1],
        masks=batch.masks[image : image + 1, :objects],
        object_valid=batch.object_valid[image : image + 1, :objects],
        sample_keys=batch.sample_keys[image : image + 1],
        categories=batch.categories[image : image + 1],
        groups=batch.groups[image : image + 1],
        sample_ids=batch.sample_ids[image : image + 1],
        spacings=batch.spacings[image : image + 1],
    )


def losses_with_graph(
    segmenter: PromptableSegmenter,
    batch: Batch,
    *,
    box_chance: float = 0.5,
    session: Session = SINGLE,
    objective: Objective = PLAIN,
    features: ImageFeatures | None = None,
) -> tuple[ObjectLosses, torch.Tensor]:
    return session_losses(
        segmenter,
        segmenter.encode(batch.images) if features is None else features,
        batch,
        epoch=0,
        step=0,
        simulation=simulation(box_chance),
        session=session,
        objective=objective,
    )


def losses_of(
    segmenter: PromptableSegmenter, batch: Batch, box_chance: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        losses, valid = losses_with_graph(segmenter, batch, box_chance=box_chance)
    return losses.total, valid


@pytest.mark.parametrize("box_chance", [0.0, 0.5, 1.0])
def test_every_valid_object_is_counted_once_whatever_the_prompts(tiny: PromptableSegmenter, box_chance: float) -> None:
    total, valid = losses_of(tiny, make_batch(), box_chance)
    assert int(valid.sum()) == 6
    assert (total[valid] > 0).all() and (total[~valid] == 0).all()


def test_a_batch_is_the_mean_over_objects_of_its_images_alone(tiny: PromptableSegmenter) -> None:
    objects = (3, 1, 2)
    batch = make_batch(objects)
    total, valid = losses_of(tiny, batch)
    together = mean_over_objects(total, valid)
    alone = [losses_of(tiny, one_image(batch, image, number))[0].sum() for image, number in enumerate(objects)]
    torch.testing.assert_close(together, sum(alone) / sum(objects), rtol=1e-4, atol=1e-5)


def test_a_step_runs_the_encoder_once_without_a_graph(tiny: PromptableSegmenter) -> None:
    task = AdaptTask(tiny, simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=plan())
    calls = []
    first = tiny.stages[0].modules[0]
    handle = first.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs[0])))
    batch = make_batch()
    features = task.encode(batch)
    losses, valid = losses_with_graph(tiny, batch, features=features)
    handle.remove()
    assert calls == [3]
    assert not features.embedding.requires_grad
    mean_over_objects(losses.total, valid).backward()
    assert all(p.grad is not None for _, p in tiny.named_parameters() if p.requires_grad)
    assert all(p.grad is None for _, p in tiny.named_parameters() if not p.requires_grad)
    for parameter in tiny.mask_decoder.parameters():
        parameter.grad = None


@pytest.mark.parametrize("box_chance", [0.0, 1.0])
def test_every_trainable_parameter_takes_part_whatever_was_drawn(tiny: PromptableSegmenter, box_chance: float) -> None:
    # DistributedDataParallel hangs on parameters that get no gradient in some step
    batch = make_batch()
    losses, valid = losses_with_graph(tiny, batch, box_chance=box_chance)
    mean_over_objects(losses.total, valid).backward()
    assert all(p.grad is not None for _, p in tiny.named_parameters() if p.requires_grad)
    for parameter in tiny.mask_decoder.parameters():
        parameter.grad = None


def test_fitting_puts_only_what_trains_into_training_mode(tiny: PromptableSegmenter) -> None:
    task = AdaptTask(tiny, simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=plan())
    task.train()
    task.on_fit_start()
    assert not any(module.training for module in tiny.encoder.modules())
    assert tiny.mask_decoder.training


def test_checkpoints_hold_what_trains_and_put_it_back(tiny: PromptableSegmenter) -> None:
    task = AdaptTask(copy.deepcopy(tiny), simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=plan())
    checkpoint = {"state_dict": task.state_dict()}
    task.on_save_checkpoint(checkpoint)
    saved = {name: tensor.clone() for name, tensor in checkpoint["state_dict"].items()}
    assert sorted(saved) == sorted(f"segmenter.{name}" for name in trainable_names(task.segmenter))
    with torch.no_grad():
        for parameter in task.segmenter.mask_decoder.parameters():
            parameter.add_(1.0)
    task.load_tuned(saved)
    restored = task.state_dict()
    assert all(torch.equal(restored[name], tensor) for name, tensor in saved.items())


def test_tuned_weights_that_do_not_match_are_refused(tiny: PromptableSegmenter) -> None:
    task = AdaptTask(tiny, simulation=simulation(0.5), session=SINGLE, objective=PLAIN, plan=plan())
    with pytest.raises(KeyError, match="tuned weights differ"):
        task.load_tuned({"segmenter.model.mask_decoder.iou_token.weight": torch.zeros(1, 128)})
