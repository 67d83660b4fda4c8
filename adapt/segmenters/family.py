"""What a family of segmenters has of its own: functions of its stock model, which `Segmenter` calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from torch import Tensor, nn
from transformers import PreTrainedModel

from adapt.segmenters.concepts import ConceptDetector
from adapt.segmenters.memory import ObjectMemory
from adapt.segmenters.protocol import EncoderBlock, EncoderStage, ImageFeatures, LinearSite, SegmenterSpec


@dataclass(frozen=True, eq=False)
class PromptedObjects:
    """K prompted objects as the decoder takes them.

    Attributes:
        images: (K,) int64, the image of each.
        sparse: (K, 1, T, C) float, embedded points and boxes.
        dense: (K, C, h, w) float, embedded masks.
        positions: (1, C, h, w) float, of the pixels of the image embedding.
        conditioned: (K, C, h, w) float, which stands in for each object's image embedding where the object is
            remembered; None where none is.
    """

    images: Tensor
    sparse: Tensor
    dense: Tensor
    positions: Tensor
    conditioned: Tensor | None = None


@dataclass(frozen=True, eq=False)
class ObjectMasks:
    """What the decoder makes of K objects.

    Attributes:
        logits: (K, M, h, w) float.
        iou: (K, M) float.
        presence: (K,) float; see `MaskPredictions`.
        tokens: (K, M, C) float; see `MaskPredictions`.
    """

    logits: Tensor
    iou: Tensor
    presence: Tensor | None = None
    tokens: Tensor | None = None


@dataclass(frozen=True)
class Family:
    """One architecture.

    Attributes:
        name: for people.
        model: the class of `transformers` that holds it.
        spec: see `SegmenterSpec`.
        stages: of its encoder; what the last one hands on is the image embedding, and then what else is read.
        blocks: see `PromptableSegmenter.blocks`.
        linears: see `PromptableSegmenter.linears`.
        decode: masks of prompted objects; the last argument is `multimask`.
        at_input_size: see `PromptableSegmenter.at_input_size`; not called with the model's own size.
        empty_point: where nobody prompts, the stock model puts in a point that says nothing; else no token at all.
        classify: logits (K, M, h, w) of the tokens of classes, of K objects that nobody prompts, one an image; None
            where the candidates of `decode` are these.
        memory: what remembers objects from frame to frame; None in families of images.
        detector: what finds all objects of a phrase; None in families that are prompted.
        prompt_encoder: what embeds prompts.
        mask_decoder: all that makes masks of features and prompts, and nothing that no mask needs.
    """

    name: str
    model: type[PreTrainedModel]
    spec: Callable[[PreTrainedModel], SegmenterSpec]
    stages: Callable[[PreTrainedModel], Sequence[EncoderStage]]
    blocks: Callable[[PreTrainedModel], Sequence[EncoderBlock]]
    linears: Callable[[PreTrainedModel], Sequence[LinearSite]]
    decode: Callable[[PreTrainedModel, ImageFeatures, PromptedObjects, bool], ObjectMasks]
    at_input_size: Callable[[PreTrainedModel, int], PreTrainedModel]
    empty_point: bool = True
    classify: Callable[[PreTrainedModel, ImageFeatures, PromptedObjects], Tensor] | None = None
    memory: Callable[[PreTrainedModel], ObjectMemory] | None = None
    detector: Callable[[PreTrainedModel], ConceptDetector] | None = None
    prompt_encoder: Callable[[PreTrainedModel], nn.Module] = attrgetter("prompt_encoder")
    mask_decoder: Callable[[PreTrainedModel], nn.Module] = attrgetter("mask_decoder")
