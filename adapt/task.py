"""The one LightningModule: encode once, prompt, decode, sum the losses. Everything it uses is handed to it."""

from dataclasses import replace
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from adapt.class_maps import batch_label_maps
from adapt.clips import Clips, clip_ious, clip_losses
from adapt.concepts import ConceptLosses, ConceptObjective, answers_loss, validated
from adapt.features import FeatureCache, encode
from adapt.frames import Frame
from adapt.losses import ObjectLosses, sum_over_objects
from adapt.metrics import class_counts
from adapt.metrics.gathered import GatheredMeanIou
from adapt.metrics.gathered_classes import GatheredClassIou
from adapt.optimization import OptimizationPlan, parameter_groups
from adapt.processes.collective import summed, this_process
from adapt.processes.sharding import shard
from adapt.prompts import PromptSimulation, Session
from adapt.protocols import PROTOCOLS, answers_of, truth_of
from adapt.samples import Batch
from adapt.segmenters import (
    ConceptDetector,
    ImageFeatures,
    PromptableSegmenter,
    Segmenter,
    detector_of,
    freeze_boundary,
    memory_of,
)
from adapt.semantic import ClassLosses, ClassObjective, answered, batch_losses
from adapt.session import Objective, session_losses
from adapt.tuning import takes_text, trainable_names


def reaching_all(loss: Tensor, segmenter: PromptableSegmenter) -> Tensor:
    """The same loss, of which everything that trains has a gradient, of zero if this step has no use for it.

    Training on several devices waits for the gradient of everything that trains. Of a divided model, what is a part
    again by now is of the encoder, which every step runs.
    """
    trained = [parameter for _, parameter in segmenter.named_parameters() if parameter.requires_grad]
    trains = [parameter.sum().float() for parameter in trained if not isinstance(parameter, DTensor)]
    return loss + 0 * torch.stack(trains).sum()


NAME = 2
"""Of `Batch.embeddings`: that of the category's name."""


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
        clips: Clips | None = None,
        accumulate: int = 1,
        recompute: bool = False,
        features: FeatureCache | None = None,
        classes: ClassObjective | None = None,
        concepts: ConceptObjective | None = None,
        sharded: bool = False,
    ) -> None:
        """Hand over what is already built.

        Args:
            segmenter: its trainable parameters are chosen.
            simulation: of the first prompt.
            session: see `Session`.
            objective: see `Objective`.
            plan: of the optimiser.
            clips: see `Clips`; for batches of clips.
            accumulate: batches an optimiser step, as the trainer has it.
            recompute: run the blocks that train a second time in the backward pass, rather than keep what they made.
            features: the cache that the batches' features come from.
            classes: what is learnt instead of a session of prompts, by a segmenter that has these classes.
            concepts: what is learnt instead, by a segmenter that has a detector.
            sharded: divide the model among the processes; see `adapt.processes.sharding`.
        """
        super().__init__()
        self._features, self._clips = features, clips or Clips(corrected=0)
        self.segmenter = segmenter
        self._accumulate, self._recompute, self._sharded = accumulate, recompute, sharded
        self._objects_of_step: list[Tensor] = []
        self.simulation, self.session, self.objective, self._plan = simulation, session, objective, plan
        self._boundary = freeze_boundary(segmenter.stages)
        self.miou_one_click, self.miou_box = GatheredMeanIou(), GatheredMeanIou()
        self.strict_loading = False  # checkpoints hold what trains
        self._mious = {"one_click": self.miou_one_click, "box": self.miou_box}
        self._classes, self.miou_classes, self._concepts = classes, GatheredClassIou(), concepts
        if takes_text(segmenter):
            self.miou_text = GatheredMeanIou()
            self._mious = {"text": self.miou_text}
        if concepts is not None:
            self.miou_concepts = GatheredMeanIou()
            self._mious = {"concepts": self.miou_concepts}

    def configure_model(self) -> None:
        """Divide the model; cached features come to one process and not to another, so what makes them stays whole."""
        if self._sharded:
            spared = 0 if self._features is None else self._boundary
            mesh = self.device_mesh
            assert mesh is not None  # the strategy has made it
            shard(self, self.segmenter, spared=spared, mesh=mesh["data_parallel"])

    def on_fit_start(self) -> None:
        """Only what trains is in training mode: what is frozen of the encoder stays as it is evaluated.

        Statistics of batches stay as well: a checkpoint holds parameters, and these are none.
        """
        self.segmenter.encoder.eval()
        for stage in self.segmenter.stages[self._boundary :]:
            for module in stage.modules:
                module.train()
                for inner in module.modules():
                    if isinstance(inner, nn.BatchNorm2d):
                        inner.eval()
        self.segmenter.mask_decoder.train()
        memory = memory_of(self.segmenter)
        for part in () if memory is None else memory.modules:
            part.train(any(parameter.requires_grad for parameter in part.parameters()))

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

    def losses(self, batch: Batch, *, step: int) -> tuple[ObjectLosses | ClassLosses | ConceptLosses, Tensor]:
        """Losses of a batch's objects, or of its images if classes or concepts are learnt, and which of them count.

        See `session_losses`, `clip_losses`, `batch_losses` and `answers_loss`.
        """
        if self._concepts is not None:
            features, epoch = self.encode(batch), self.current_epoch
            return answers_loss(self._detector, features, batch, self._concepts, epoch=epoch), batch.counted
        if self._classes is not None:
            return batch_losses(self.segmenter, self.encode(batch), batch, self._classes), batch.counted
        if batch.frames > 1:
            assert isinstance(self.segmenter, Segmenter)  # with a memory; see `adapt.build.model.tune`
            return clip_losses(
                self.segmenter,
                self.encode(batch),
                batch,
                epoch=self.current_epoch,
                step=step,
                simulation=self.simulation,
                session=self.session,
                objective=self.objective,
                clips=self._clips,
            )
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
        """The mean loss over the objects of this batch on all processes; their sum, in a step of several batches.

        If classes or concepts are learnt, an image takes the place of an object.
        It is scaled so that the mean over the processes, which is what their gradients are averaged to, is that mean:
        so several processes do the step that one does with all their images.
        """
        of_objects = self._classes is None and self._concepts is None
        learnt = batch.weighed if of_objects else batch.counted
        counts = summed(torch.stack([learnt.sum(), batch.counted.sum()]))
        objects, images = counts[0].clamp(min=1), int(counts[1])
        losses, valid = self.losses(batch, step=batch_idx // self._accumulate)
        logged = losses.logged()
        parts = torch.stack([sum_over_objects(values, valid) for values in logged.values()])
        _, processes = this_process()
        loss = reaching_all(parts[0] * processes / objects, self.segmenter)
        means = summed(parts) / objects
        if bool(means[0].isfinite()):  # else `LossGuard` sees to it, and it is in no epoch's mean
            figures = {f"train/{name}": mean for name, mean in zip(logged, means, strict=True)}
            self.log_dict(figures, batch_size=images, on_step=True, on_epoch=True)
        if self._accumulate == 1:
            return loss
        self._objects_of_step.append(objects)
        return loss * objects * self._accumulate  # the trainer divides by the number of batches

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """From gradients of a sum over the objects of a step's batches to those of their mean.

        So a step of several batches is that of one large batch, however the objects fall into them, and so is the
        last one of an epoch, which may have fewer batches.
        """
        if self._objects_of_step:
            objects = torch.stack(self._objects_of_step).sum()
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
        """Prompt and score each image by the protocols of the evaluation, at the size it has in the model frame.

        Clips are prompted in the first frame; see `clip_ious`.
        """
        features = self.encode(batch)
        if self._classes is not None:
            self._validate_classes(features, batch, self._classes)
            return
        if self._concepts is not None:
            for image, ious, names in validated(self._detector, features, batch, self._concepts):
                key, group = int(batch.sample_keys[image]), batch.groups[image]
                self.miou_concepts.update(ious, key=key, categories=names, group=group)
            return
        if batch.frames > 1:
            self._validate_clips(features, batch)
            return
        for place, (width, height) in enumerate(batch.extents.int().tolist()):
            valid, key = batch.object_valid[place], int(batch.sample_keys[place])
            truth = truth_of(batch.masks[place, valid, :height, :width].cpu().numpy(), key, valid.device)
            if batch.embeddings is not None:
                truth = replace(truth, embeddings=batch.embeddings[place, valid, NAME])
            of_image = features.select(torch.tensor([place], device=valid.device))
            categories = [batch.categories[place][index] for index in valid.nonzero().flatten().tolist()]
            for protocol, miou in self._mious.items():
                answers = answers_of(self.segmenter, of_image, truth, how=PROTOCOLS[protocol], clicks=1)
                ious = np.concatenate([of_part.curves[:, -1] for _, of_part in answers])
                miou.update(ious, key=key, categories=categories, group=batch.groups[place])

    def _validate_classes(self, features: ImageFeatures, batch: Batch, objective: ClassObjective) -> None:
        """Score the label map of each image, likewise."""
        logits, labels = self.segmenter.classify(features), batch_label_maps(batch, objective.classes).cpu().numpy()
        size = labels.shape[-1]
        for place, (width, height) in enumerate(batch.extents.int().tolist()):
            answer = answered(logits[place], Frame(size, size, size, "stretch"))[:height, :width]
            counts = class_counts(answer, labels[place, :height, :width], classes=len(objective.classes))
            self.miou_classes.update(counts, key=int(batch.sample_keys[place]), group=batch.groups[place])

    @property
    def _detector(self) -> ConceptDetector:
        detector = detector_of(self.segmenter)
        assert detector is not None  # see `adapt.build.model.make_segmenter`
        return detector

    def _validate_clips(self, features: ImageFeatures, batch: Batch) -> None:
        assert isinstance(self.segmenter, Segmenter)
        for protocol, miou in self._mious.items():
            ious = clip_ious(self.segmenter, features, batch, by_box=protocol == "box").cpu().double().numpy()
            for clip, of_clip in enumerate(ious):
                first = clip * batch.frames
                valid = batch.object_valid[first].nonzero().flatten().tolist()
                categories = [batch.categories[first][index] for index in valid]
                key, group = int(batch.sample_keys[first]), batch.groups[first]
                miou.update(of_clip[valid], key=key, categories=categories, group=group)

    def on_validation_epoch_end(self) -> None:
        """Log the domain mIoU under each protocol, and their mean, by which the best checkpoint is chosen.

        Of classes, log the mean over them.
        """
        if self._classes is not None:
            self.log("val/miou", self.miou_classes.compute())
            self.miou_classes.reset()
            return
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
