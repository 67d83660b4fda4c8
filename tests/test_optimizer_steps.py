"""What an optimiser step does to the weights: accumulation, clipping, averaging, recomputing; through the trainer."""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from test_optimization import plan
from test_task import PLAIN, SINGLE, make_batch, one_image, simulation
from torch import Tensor

from adapt.callbacks.averaging import RAW, AveragedWeights
from adapt.callbacks.checkpoints import AtomicCheckpointIO, Checkpoints
from adapt.callbacks.kept import kept_checkpoints
from adapt.datamodules.batches import collate
from adapt.processes.signals import Signals
from adapt.prompts import Session
from adapt.samples import Batch
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.task import AdaptTask
from adapt.tuning import trainable_names, tune_decoder

WITH_IDLE = Session(corrections=1, clicks_per_round=1, idle_rounds=2, truth_click_chance=0, mask_prompts=True)
OBJECTS = (3, 1, 2, 1)


@pytest.fixture(scope="module")
def untouched() -> PromptableSegmenter:
    segmenter = load_segmenter("adapt:tiny")
    tune_decoder(segmenter, prompt_encoder=False)
    return segmenter


@pytest.fixture
def tiny(untouched: PromptableSegmenter) -> PromptableSegmenter:
    return copy.deepcopy(untouched)


IMAGES = [one_image(make_batch(OBJECTS), image, objects) for image, objects in enumerate(OBJECTS)]


class Weights(Callback):
    """What trains, and its gradients as the optimiser got them, step by step; and what is validated."""

    def __init__(self) -> None:
        self.gradients: list[Tensor] = []
        self.after: list[Tensor] = []
        self.at_validation: list[Tensor] = []

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        def keep(optimizer: torch.optim.Optimizer, arguments: object, options: object) -> None:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.requires_grad and p.grad is not None]
            self.gradients.append(torch.cat(gradients))

        trainer.optimizers[0].register_step_post_hook(keep)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
    ) -> None:
        self.after.append(flat(pl_module))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.at_validation.append(flat(pl_module))


def flat(module: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters() if p.requires_grad])


def fit(
    segmenter: PromptableSegmenter,
    batches: Sequence[Batch],
    tmp_path: Path,
    *,
    callbacks: Sequence[Callback] = (),
    accumulate: int = 1,
    clip: float = 0.0,
    epochs: int = 1,
    validate: bool = False,
    session: Session = SINGLE,
    precision: str = "32-true",
    resume: Path | None = None,
    kept: Path | None = None,
    minutes: float = 1000,
) -> tuple[AdaptTask, lightning.Trainer]:
    task = AdaptTask(
        segmenter,
        simulation=simulation(0.5),
        session=session,
        objective=PLAIN,
        plan=plan(warmup_steps=0, schedule="constant"),
        accumulate=accumulate,
    )
    task.strict_loading = False  # a checkpoint has what trains alone
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        max_epochs=epochs,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=clip or None,
        callbacks=[
            *callbacks,
            *([] if kept is None else [Checkpoints(kept, minutes=minutes, data="", signals=Signals())]),
        ],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=kept is not None,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validate else 0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = torch.utils.data.DataLoader(list(batches), batch_size=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers, and what torch deprecates under it
        trainer.fit(task, loader, loader if validate else None, ckpt_path=resume)
    return task, trainer


def test_accumulated_batches_are_one_large_batch_whatever_their_objects(
    untouched: PromptableSegmenter, tmp_path: Path
) -> None:
    large, small = Weights(), Weights()
    fit(copy.deepcopy(untouched), [collate(IMAGES)], tmp_path, callbacks=[large], session=WITH_IDLE)
    halves = [collate(IMAGES[:2]), collate(IMAGES[2:])]  # 4 objects and 3
    fit(copy.deepcopy(untouched), halves, tmp_path, callbacks=[small], accumulate=2, session=WITH_IDLE)
    (of_large,), (of_small,) = large.gradients, small.gradients
    assert of_large.norm() > 0
    torch.testing.assert_close(of_small, of_large, rtol=1e-3, atol=1e-5 * float(of_large.abs().max()))


def test_the_last_step_of_an_epoch_is_the_mean_of_the_batches_it_has(tiny: PromptableSegmenter, tmp_path: Path) -> None:
    seen, alone = Weights(), Weights()
    _, trainer = fit(tiny, IMAGES[:3], tmp_path, callbacks=[seen], accumulate=2)
    assert trainer.global_step == len(seen.gradients) == 2
    with torch.no_grad():  # back to the weights of the second step
        start = seen.after[1]
        for parameter in tiny.mask_decoder.parameters():
            parameter.copy_(start[: parameter.numel()].view_as(parameter))
            start = start[parameter.numel() :]
    fit(tiny, [IMAGES[2]], tmp_path, callbacks=[alone])
    torch.testing.assert_close(
        seen.gradients[1], alone.gradients[0], rtol=1e-3, atol=1e-5 * float(alone.gradients[0].abs().max())
    )


@pytest.mark.parametrize(
    "precision", ["32-true", "bf16-mixed"]
)  # Lightning itself clips no fused optimiser in the latter
def test_clipping_keeps_the_norm_over_all_that_trains_below_its_limit(
    untouched: PromptableSegmenter, tmp_path: Path, precision: str
) -> None:
    free, clipped = Weights(), Weights()
    fit(copy.deepcopy(untouched), IMAGES[:1], tmp_path, callbacks=[free], precision=precision)
    limit = float(free.gradients[0].norm()) / 4
    fit(copy.deepcopy(untouched), IMAGES[:1], tmp_path, callbacks=[clipped], precision=precision, clip=limit)
    torch.testing.assert_close(clipped.gradients[0], free.gradients[0] / 4, rtol=1e-3, atol=1e-7)
    assert float(clipped.gradients[0].norm()) <= limit * 1.001


def test_the_average_follows_its_recurrence_and_is_what_is_validated_and_kept(
    tiny: PromptableSegmenter, tmp_path: Path
) -> None:
    seen, average = Weights(), flat(tiny.mask_decoder)
    task, _ = fit(tiny, IMAGES[:3], tmp_path, callbacks=[AveragedWeights(0.9), seen], validate=True)
    for weights in seen.after:
        average = 0.9 * average + 0.1 * weights
    assert len(seen.after) == 3
    torch.testing.assert_close(seen.at_validation[0], average, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(flat(task), average, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(average, seen.after[-1], atol=1e-5)


def test_averaging_leaves_the_training_as_it_is(untouched: PromptableSegmenter, tmp_path: Path) -> None:
    plain, averaged = Weights(), Weights()
    fit(copy.deepcopy(untouched), IMAGES[:2], tmp_path, callbacks=[plain], epochs=2)
    fit(copy.deepcopy(untouched), IMAGES[:2], tmp_path, callbacks=[AveragedWeights(0.9), averaged], epochs=2)
    assert all(torch.equal(one, two) for one, two in zip(plain.after, averaged.after, strict=True))


def test_the_average_counts_optimiser_steps_not_batches(tiny: PromptableSegmenter, tmp_path: Path) -> None:
    seen, start = Weights(), flat(tiny.mask_decoder)
    task, _ = fit(tiny, IMAGES[:3], tmp_path, callbacks=[AveragedWeights(0.5), seen], accumulate=2)
    average = 0.5 * (0.5 * start + 0.5 * seen.after[1]) + 0.5 * seen.after[2]
    torch.testing.assert_close(flat(task), average, rtol=1e-5, atol=1e-7)


def test_a_checkpoint_has_both_and_a_resumed_run_goes_on_with_both(
    untouched: PromptableSegmenter, tmp_path: Path
) -> None:
    whole, first, rest = Weights(), Weights(), Weights()
    straight, _ = fit(copy.deepcopy(untouched), IMAGES[:2], tmp_path, callbacks=[AveragedWeights(0.9), whole], epochs=2)
    task, _ = fit(
        copy.deepcopy(untouched), IMAGES[:2], tmp_path, callbacks=[AveragedWeights(0.9), first], kept=tmp_path / "kept"
    )
    (half,) = kept_checkpoints(tmp_path / "kept", tell=pytest.fail)
    saved = AtomicCheckpointIO().load_checkpoint(half.path)
    names = {f"segmenter.{name}" for name in trainable_names(task.segmenter)}
    assert set(saved["state_dict"]) == set(saved[RAW]) == names
    kept = {name: torch.cat([values.flatten() for values in saved[name].values()]) for name in ("state_dict", RAW)}
    assert torch.equal(kept["state_dict"], flat(task)) and torch.equal(kept[RAW], first.after[-1])
    segmenter = copy.deepcopy(untouched)
    again, _ = fit(
        segmenter,
        IMAGES[:2],
        tmp_path,
        callbacks=[AveragedWeights(0.9), rest],
        epochs=2,
        resume=half.path,
        kept=tmp_path / "again",
    )
    assert all(torch.equal(one, two) for one, two in zip(whole.after[2:], rest.after, strict=True))
    assert torch.equal(flat(again), flat(straight))


def test_a_checkpoint_is_never_written_inside_a_step_of_several_batches(
    tiny: PromptableSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    save = AtomicCheckpointIO.save_checkpoint

    def noted(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: Path, storage_options: object = None) -> None:
        written.append(Path(path).stem)
        save(self, checkpoint, path)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", noted)
    fit(tiny, [*IMAGES, IMAGES[0]], tmp_path, accumulate=2, kept=tmp_path / "kept", minutes=0)
    assert written == ["epoch_00000_batch_000002", "epoch_00000_batch_000004", "epoch_00001_batch_000000"]
