"""The one LightningModule: encode once, prompt, decode, sum the losses. Everything it uses is handed to it."""

import math
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from adapt.losses import mean_over_objects
from adapt.metrics.gathered import GatheredMeanIou
from adapt.prompts import PromptSimulation, Session
from adapt.protocols import PROTOCOLS, answers_of, truth_of
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, PromptableSegmenter, freeze_boundary
from adapt.session import Objective, session_losses
from adapt.tuning import trainable_names


@dataclass(frozen=True)
class OptimizationPlan:
    """AdamW with linear warm-up, then a cosine to zero or a constant rate.

    Attributes:
        total_steps: optimiser steps of the whole run.
    """

    learning_rate: float
    weight_decay: float
    warmup_steps: int
    cosine: bool
    total_steps: int

    def factor(self, step: int) -> float:
        """Share of the learning rate at an optimiser step, counted from 0."""
        warmup = min(self.warmup_steps, self.total_steps // 2)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if not self.cosine:
            return 1.0
        done = (step - warmup) / max(1, self.total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def step_seed(seed: int, *, step: int, process: int) -> int:
    """Of torch's generator in one step of one process."""
    return int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0])


class AdaptTask(lightning.LightningModule):
    """Training and validation of a segmenter whose trainable parameters are already chosen."""

    def __init__(
        self,
        segmenter: PromptableSegmenter,
        *,
        simulation: PromptSimulation,
        session: Session,
        objective: Objective,
        plan: OptimizationPlan,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.simulation, self.session, self.objective, self._plan = simulation, session, objective, plan
        self._boundary = freeze_boundary(segmenter.stages)
        self.miou_one_click, self.miou_box = GatheredMeanIou(), GatheredMeanIou()
        self.strict_loading = False  # checkpoints hold what trains
        self._mious = {"one_click": self.miou_one_click, "box": self.miou_box}

    def on_fit_start(self) -> None:
        """Only what trains is in training mode: what is frozen of the encoder stays as it is evaluated."""
        self.segmenter.encoder.eval()
        for stage in self.segmenter.stages[self._boundary :]:
            for module in stage.modules:
                module.train()
        self.segmenter.mask_decoder.train()

    def encode(self, batch: Batch) -> ImageFeatures:
        """Run the encoder, once an image; without a graph as far as it is frozen."""
        with torch.no_grad():
            hidden = self.segmenter.encode_prefix(batch.images, boundary=self._boundary)
        return self.segmenter.encode_suffix(hidden, boundary=self._boundary)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """What is drawn inside the model (dropout) derives from the step, so that a resumed run draws the same."""
        torch.manual_seed(step_seed(self.simulation.seed, step=self.global_step, process=self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss over the batch's objects."""
        losses, valid = session_losses(
            self.segmenter,
            self.encode(batch),
            batch,
            epoch=self.current_epoch,
            step=batch_idx,
            simulation=self.simulation,
            session=self.session,
            objective=self.objective,
        )
        loss = mean_over_objects(losses.total, valid)
        if not math.isfinite(loss.item()):
            return loss  # `LossGuard` sees to it; it is in no epoch's mean
        figures = {
            "train/loss": loss.detach(),
            "train/focal": mean_over_objects(losses.focal.detach(), valid),
            "train/dice": mean_over_objects(losses.dice.detach(), valid),
            "train/iou_error": mean_over_objects(losses.iou_error.detach(), valid),
            "train/iou": mean_over_objects(losses.iou, valid),
        }
        self.log_dict(figures, batch_size=len(batch.groups), on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Prompt and score each image by the protocols of the evaluation, at the size it has in the model frame."""
        features = self.encode(batch)
        for place, (width, height) in enumerate(batch.extents.int().tolist()):
            valid, key = batch.object_valid[place], int(batch.sample_keys[place])
            truth = truth_of(batch.masks[place, valid, :height, :width].cpu().numpy(), key, valid.device)
            of_image = features.select(torch.tensor([place], device=valid.device))
            categories = [batch.categories[place][index] for index in valid.nonzero().flatten().tolist()]
            for protocol, miou in self._mious.items():
                answers = answers_of(self.segmenter, of_image, truth, how=PROTOCOLS[protocol], clicks=1)
                ious = np.concatenate([of_part.curves[:, -1] for _, of_part in answers])
                miou.update(ious, key=key, categories=categories, group=batch.groups[place])

    def on_validation_epoch_end(self) -> None:
        """Log the domain mIoU under each protocol, and their mean, by which the best checkpoint is chosen."""
        found = {protocol: miou.compute() for protocol, miou in self._mious.items()}
        for miou in self._mious.values():
            miou.reset()
        both = torch.stack(list(found.values())).mean()
        self.log_dict({**{f"val/miou_{protocol}": value for protocol, value in found.items()}, "val/miou": both})

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own type is a union of ten
        """AdamW over what trains, with the plan's rate at each step."""
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            trainable, lr=self._plan.learning_rate, weight_decay=self._plan.weight_decay, betas=(0.9, 0.999)
        )
        schedule = LambdaLR(optimizer, self._plan.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint holds what trains; the frozen rest is in the pretrained checkpoint already."""
        kept = {f"segmenter.{name}" for name in trainable_names(self.segmenter)}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in kept}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on only with weights of what trains."""
        self._expect(checkpoint["state_dict"])

    def load_tuned(self, state: dict[str, Tensor]) -> None:
        """Put back the tuned weights of a checkpoint; every trainable parameter must be there, and no other.

        Raises:
            KeyError: the names differ.
        """
        self._expect(state)
        self.load_state_dict(state, strict=False)

    def _expect(self, state: dict[str, Tensor]) -> None:
        expected = {f"segmenter.{name}" for name in trainable_names(self.segmenter)}
        if expected != set(state):
            raise KeyError(f"tuned weights differ from what trains: {sorted(expected ^ set(state))[:8]}")
