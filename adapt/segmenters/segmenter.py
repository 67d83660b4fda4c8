"""The segmenter: a stock model of `transformers` behind the protocol. What differs between families is in `Family`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from adapt.errors import CheckpointError
from adapt.prompts import Prompts, no_prompts
from adapt.segmenters.attention import fold_attention, is_folded
from adapt.segmenters.class_tokens import class_names, give_classes
from adapt.segmenters.concepts import ConceptDetector
from adapt.segmenters.family import Family, PromptedObjects
from adapt.segmenters.memory import ObjectMemory
from adapt.segmenters.protocol import (
    EncoderBlock,
    EncoderStage,
    Hidden,
    ImageFeatures,
    LinearSite,
    MaskPredictions,
    PromptableSegmenter,
)
from adapt.segmenters.quiet import quiet_transformers

NOTHING = -1
"""Label of a point that says nothing."""
TEXT_TOKEN = "text_token"
"""The module of the prompt encoder that makes a token of an embedding; there in models that take texts alone."""


class Segmenter(nn.Module):
    """See `PromptableSegmenter`. Calls the stock parts directly: the stock `get_image_embeddings` stops gradients."""

    def __init__(self, model: PreTrainedModel, family: Family) -> None:
        super().__init__()
        self.model, self._family = model, family
        self.training = model.training  # a new module says True, and would have the model follow
        self.spec = family.spec(model)

    @property
    def family(self) -> str:
        """The name of the architecture, for people."""
        return self._family.name

    @property
    def commit(self) -> str | None:
        """The Hub commit that the weights came from; None for local ones."""
        commit: str | None = getattr(self.model.config, "_commit_hash", None)
        return commit

    @property
    def encoder(self) -> nn.Module:
        """The image encoder with its neck."""
        module: nn.Module = self.model.vision_encoder
        return module

    @property
    def prompt_encoder(self) -> nn.Module:
        """Embeds points, boxes and masks, or reads phrases."""
        return self._family.prompt_encoder(self.model)

    @property
    def mask_decoder(self) -> nn.Module:
        """Two-way transformer, upscaling, hypernetworks and IoU head; of a model of concepts, the detector as well."""
        return self._family.mask_decoder(self.model)

    @property
    def stages(self) -> Sequence[EncoderStage]:
        """See `PromptableSegmenter.stages`."""
        return self._family.stages(self.model)

    @property
    def blocks(self) -> Sequence[EncoderBlock]:
        """See `PromptableSegmenter.blocks`."""
        return self._family.blocks(self.model)

    @property
    def linears(self) -> Sequence[LinearSite]:
        """See `PromptableSegmenter.linears`."""
        return self._family.linears(self.model)

    @property
    def memory(self) -> ObjectMemory | None:
        """What remembers objects from frame to frame; None in families of images."""
        return None if self._family.memory is None else self._family.memory(self.model)

    @property
    def detector(self) -> ConceptDetector | None:
        """What finds all objects of a phrase; None in families that are prompted."""
        return None if self._family.detector is None else self._family.detector(self.model)

    def encode(self, images: Tensor) -> ImageFeatures:
        """See `PromptableSegmenter.encode`."""
        return self.encode_suffix(self.encode_prefix(images, boundary=0), boundary=0)

    def encode_prefix(self, images: Tensor, *, boundary: int) -> Hidden:
        """See `PromptableSegmenter.encode_prefix`."""
        hidden: Hidden = (images,)
        for stage in self.stages[:boundary]:
            hidden = stage.run(hidden)
        return hidden

    def encode_suffix(self, hidden: Hidden, *, boundary: int, recompute: bool = False) -> ImageFeatures:
        """See `PromptableSegmenter.encode_suffix`."""
        for stage in self.stages[boundary:]:
            hidden = checkpoint(stage.run, hidden, use_reentrant=False) if recompute else stage.run(hidden)
        embedding, *further = hidden
        return ImageFeatures(embedding, tuple(further))

    def decode(
        self, features: ImageFeatures, prompts: Prompts, *, multimask: bool, conditioned: Tensor | None = None
    ) -> MaskPredictions:
        """See `PromptableSegmenter.decode`. With `conditioned`, (K, C, h, w), the K valid objects are remembered.

        Objects become the batch of the decoder, each with its image's features: so a mask prompt can differ
        from object to object, which the stock call (one mask prompt an image) does not allow, and padding
        objects cost nothing.
        """
        images, objects = prompts.object_valid.shape
        chosen = prompts.object_valid.flatten().nonzero().squeeze(1)
        embedded = replace(self._embedded(prompts, chosen), conditioned=conditioned)
        found = self._family.decode(self.model, features, embedded, multimask)

        def placed(values: Tensor) -> Tensor:
            """(K, ...) values of the chosen objects as (images, objects, ...), zero elsewhere."""
            full = torch.zeros(images * objects, *values.shape[1:], dtype=values.dtype, device=values.device)
            return full.index_copy(0, chosen, values).reshape(images, objects, *values.shape[1:])

        presence = None if found.presence is None else placed(found.presence)
        tokens = None if found.tokens is None else placed(found.tokens)
        return MaskPredictions(placed(found.logits), placed(found.iou), presence, tokens)

    def _embedded(self, prompts: Prompts, chosen: Tensor) -> PromptedObjects:
        """The prompts of K of the objects, by their places among all."""

        def of_chosen(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.flatten(0, 1)[chosen]

        points, labels, boxes = (of_chosen(v) for v in (prompts.points, prompts.point_labels, prompts.boxes))
        if points is not None and labels is not None and boxes is None and not points.shape[1]:
            points, labels = self._where_nobody_prompts(points)
        masks = of_chosen(None if prompts.masks is None else prompts.masks.float())  # those fed back may be bfloat16
        # in bfloat16 a third of the columns of 1024 would share their position's embedding with a neighbour
        with torch.autocast(chosen.device.type, enabled=False):
            sparse, dense = self.model.prompt_encoder(
                input_points=None if points is None else points[:, None],
                input_labels=None if labels is None else labels[:, None],
                input_boxes=None if boxes is None else boxes[:, None],
                input_masks=masks,
            )
            positions = self.model.get_image_wide_positional_embeddings()
            dense = dense.expand(len(chosen), -1, -1, -1)
            if sparse is None:  # no points and no boxes: not a token
                sparse = dense.new_zeros(len(chosen), 1, 0, dense.shape[1])
            if prompts.embeddings is not None:
                token = self.prompt_encoder.get_submodule(TEXT_TOKEN)(of_chosen(prompts.embeddings))[:, None, None]
                sparse = torch.cat((sparse, token), dim=2)
        return PromptedObjects(chosen // prompts.object_valid.shape[1], sparse, dense, positions)

    def _where_nobody_prompts(self, points: Tensor) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """What stands for no points at all, (K, 0, 2), as the stock model has it: points and labels, or nothing."""
        if not self._family.empty_point:
            return None, None
        points = points.new_zeros(len(points), 1, 2)
        return points, torch.full(points.shape[:-1], NOTHING, device=points.device)

    @property
    def classes(self) -> tuple[str, ...]:
        """See `PromptableSegmenter.classes`."""
        return class_names(self.model)

    def with_classes(self, names: Sequence[str]) -> "Segmenter":
        """See `PromptableSegmenter.with_classes`."""
        if self.classes and self.classes != tuple(names):
            raise CheckpointError(
                f"semantic.classes {', '.join(names)}: this checkpoint was trained with others, or in another order, "
                f"{', '.join(self.classes)}; set them, or model.checkpoint to a model that is prompted"
            )
        if not self.classes:
            give_classes(self.model, names)
        return Segmenter(self.model, self._family).train(self.training)

    def classify(self, features: ImageFeatures) -> Tensor:
        """See `PromptableSegmenter.classify`."""
        assert self.classes, "`with_classes` comes first"
        images = torch.arange(len(features.embedding), device=features.embedding.device)
        nobody = self._embedded(no_prompts(torch.ones_like(images, dtype=torch.bool)[:, None]), images)
        if self._family.classify is not None:
            return self._family.classify(self.model, features, nobody)
        return self._family.decode(self.model, features, nobody, True).logits

    def at_input_size(self, size: int) -> "Segmenter":
        """See `PromptableSegmenter.at_input_size`."""
        same = size == self.spec.image_size
        model = self.model if same else self._family.at_input_size(self.model, size).train(self.model.training)
        if is_folded(self.encoder):
            fold_attention(model.vision_encoder)
        return Segmenter(model, self._family).train(self.training)

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors`; `from_pretrained` of the family's class reads them."""
        with quiet_transformers():
            self.model.save_pretrained(folder)


def memory_of(segmenter: PromptableSegmenter) -> ObjectMemory | None:
    """What remembers objects from frame to frame; None in families of images."""
    return segmenter.memory if isinstance(segmenter, Segmenter) else None


def detector_of(segmenter: PromptableSegmenter) -> ConceptDetector | None:
    """What finds all objects of a phrase; None in families that are prompted."""
    return segmenter.detector if isinstance(segmenter, Segmenter) else None
