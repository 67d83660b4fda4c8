"""The one LightningModule: encode once, prompt, decode, sum the losses. Everything it uses is handed to it."""

import math
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from adapt.features import FeatureCache, encode
from adapt.losses import ObjectLosses, mean_over_objects
from adapt.metrics.gathered import GatheredMeanIou
from adapt.optimization import OptimizationPlan, parameter_groups
from adapt.prompts import PromptSimulation, Session
from adapt.protocols import PROTOCOLS, answers_of, truth_of
from adapt.samples import Batch
from adapt.segmenters import ImageFeatures, PromptableSegmenter, freeze_boundary
from adapt.session import Objective, session_losses
from adapt.tuning import trainable_names


def reaching_all_prompts(loss: Tensor, segmenter: PromptableSegmenter) -> Tensor:
    """The same loss, of which the embeddings of prompts that were not drawn have a gradient too, of zero.

    Training on several devices waits for the gradient of everything that trains.
    """
    trains = [parameter.sum() for parameter in segmenter.prompt_encoder.parameters() if parameter.requires_grad]
    return loss + 0 * torch.stack(trains).sum() if trains else loss


def batch_seed(seed: int, *, epoch: int, batch: int, process: int) -> int:
    """Of torch's generator while one process trains on one batch."""
    return int(np.random.SeedSequence([seed, epoch, batch, process]).generate_state(1, np.uint64)[0])


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
        accumulate: int = 1,
        recompute: bool = False,
        features: FeatureCache | None = None,
    ) -> None:
        """Hand over what is already built.

        Args:
            segmenter: its trainable parameters are chosen.
            simulation: of the first prompt.
            session: see `Session`.
            objective: see `Objective`.
            plan: of the optimiser.
            accumulate: batches an optimiser step, as the trainer has it.
            recompute: run the blocks that train a second time in the backward pass, rather than keep what they made.
            features: the cache that the batches' features come from.
        """
        super().__init__()
        self._features = features
        self.segmenter = segmenter
        self._accumulate, self._recompute = accumulate, recompute
        self._objects_of_step: list[Tensor] = []
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
        """Run the encoder, once an image; what is frozen of it without a graph, and not at all if it is cached."""
        return encode(
            self.segmenter,
            batch.images,
            batch.cached,
            boundary=self._boundary,
            cache=self._features,
            recompute=self._recompute and torch.is_grad_enabled(),
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """What is drawn inside the model (dropout) derives from the batch's place: a resumed run draws the same."""
        torch.manual_seed(
            batch_seed(self.simulation.seed, epoch=self.current_epoch, batch=batch_idx, process=self.global_rank)
        )

    def losses(self, batch: Batch, *, step: int) -> tuple[ObjectLosses, Tensor]:
        """Losses of a batch's objects and their validity; see `session_losses`."""
        return session_losses(
            self.segmenter,
            self.encode(batch),
            batch,
            epoch=self.current_epoch,
            step=step,
            simulation=self.simulation,
            session=self.session,
            objective=self.objective,
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The mean loss over the batch's objects; their sum, in a step of several batches."""
        losses, valid = self.losses(batch, step=batch_idx // self._accumulate)
        loss = reaching_all_prompts(mean_over_objects(losses.total, valid), self.segmenter)
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
        if self._accumulate == 1:
            return loss
        objects = valid.sum()
        self._objects_of_step.append(objects)
        return loss * objects * self._accumulate  # the trainer divides by the number of batches

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """From gradients of a sum over the objects of a step's batches to those of their mean.

        So a step of several batches is that of one large batch, however the objects fall into them, and so is the
        last one of an epoch, which may have fewer batches.
        """
        if self._objects_of_step:
            objects = torch.stack(self._objects_of_step).sum().float()
            objects = self.trainer.strategy.reduce(objects, reduce_op="mean")  # the same in all processes
            for parameter in self._trained():
                if parameter.grad is not None:
                    parameter.grad.div_(objects)
            self._objects_of_step = []

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm over all that trains; Lightning's own way refuses a fused optimiser, even without a scaler."""
        if gradient_clip_val:
            torch.nn.utils.clip_grad_norm_(self._trained(), gradient_clip_val)

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
        """AdamW over what trains, with the plan's rates at each step; in one kernel, where there is one."""
        fused = self.device.type in ("cpu", "cuda")
        optimizer = torch.optim.AdamW(parameter_groups(self.segmenter, self._plan), betas=(0.9, 0.999), fused=fused)
        schedule = LambdaLR(optimizer, self._plan.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _trained(self) -> list[torch.nn.Parameter]:
        return [parameter for _, parameter in self.segmenter.named_parameters() if parameter.requires_grad]

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
