"""What every promptable segmenter offers, whatever its family."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from adapt.frames import Fit, Frame, image_to_model_frame
from adapt.prompts import Prompts


@dataclass(frozen=True)
class SegmenterSpec:
    """What a caller must know of a segmenter.

    Attributes:
        image_size: side of the model frame, pixels.
        mask_size: side of predicted mask logits; they cover the whole model frame.
        pixel_mean, pixel_std: of the three channels, on the 0..255 scale.
        candidates: masks that `decode(..., multimask=True)` returns for each object.
        fit: how an image is brought into the model frame; see `Frame`.
    """

    image_size: int
    mask_size: int
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    candidates: int
    fit: Fit

    def frame(self, height: int, width: int) -> Frame:
        """How an image of this size, in pixels, lies in the model frame."""
        return Frame(height, width, self.image_size, self.fit)

    def to_model_frame(self, image: npt.NDArray[np.uint8]) -> Tensor:
        """An image (H, W, 3) uint8 as the encoder reads it, (3, S, S) float32; see `image_to_model_frame`."""
        return image_to_model_frame(image, size=self.image_size, mean=self.pixel_mean, std=self.pixel_std, fit=self.fit)


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """What the encoder makes of B images; decoding any number of prompts needs nothing else.

    Attributes:
        embedding: (B, C, h, w) float, which prompts attend to.
        further: (B, ...) float, what else the family's decoder reads: maps of higher resolution (SAM 2), or of an
            earlier block (SAM-HQ).
    """

    embedding: Tensor
    further: tuple[Tensor, ...] = ()

    def select(self, index: Tensor) -> "ImageFeatures":
        """Features of the images that a (K,) int64 index or a (B,) bool mask names."""
        return ImageFeatures(self.embedding[index], tuple(values[index] for values in self.further))


@dataclass(frozen=True, eq=False)
class MaskPredictions:
    """Candidates for each object.

    Attributes:
        logits: (B, N, M, h, w) float, the whole model frame; > 0 is the object. Zero for padding objects.
        iou: (B, N, M) float, the segmenter's own estimate of each candidate's IoU.
        presence: (B, N) float, logit that there is an object at the prompt at all; None in families that do not say.
        tokens: (B, N, M, C) float, from which the decoder made each candidate, and by which an object is remembered;
            None in families without memory.
    """

    logits: Tensor
    iou: Tensor
    presence: Tensor | None = None
    tokens: Tensor | None = None


Hidden = tuple[Tensor, ...]
"""What passes from one stage of an encoder to the next: (B, ...) float tensors, as many as the family needs."""


@dataclass(frozen=True, eq=False)
class EncoderStage:
    """A step of the image encoder: the patch embedding, a transformer block, or the neck.

    Attributes:
        run: from what the stage before it hands on to what this one does; the first takes the images alone.
        modules: all that it runs.
        shapes: of what it hands on, for one image.
        own: parameters that it reads and that are none of a module's.
    """

    run: Callable[[Hidden], Hidden]
    modules: tuple[nn.Module, ...]
    shapes: tuple[tuple[int, ...], ...]
    own: tuple[nn.Parameter, ...] = ()

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        """All that it reads."""
        return (*self.own, *(parameter for module in self.modules for parameter in module.parameters()))


@dataclass(frozen=True, eq=False)
class EncoderBlock:
    """A transformer block of the encoder, and the parts of it that something can be put behind or beside.

    Attributes:
        stage: its place in `stages`.
        module: the block, from (B, h, w, C) to the same; where an encoder grows coarser, from other h, w and C.
        attention: from tokens of windows, (windows, h, w, ...), to (windows, h, w, C), which stands alone or first in a
            tuple.
        mlp: from (B, h, w, C), behind the layer norm, to the same.
        channels: C, of what the block hands on.
    """

    stage: int
    module: nn.Module
    attention: nn.Module
    mlp: nn.Module
    channels: int


@dataclass(frozen=True)
class LinearSite:
    """A Linear layer that can be adapted.

    Attributes:
        name: of the module in the stock model.
        roles: what it computes; the outputs of a fused layer are as many parts of one size, in this order.
        stage: place in `stages`; None outside the encoder.
    """

    name: str
    roles: tuple[str, ...]
    stage: int | None


def freeze_boundary(stages: Sequence[EncoderStage]) -> int:
    """Stages in front of the first one that trains: what they make of an image never changes. All, if none trains."""
    trains = (any(parameter.requires_grad for parameter in stage.parameters) for stage in stages)
    return next((place for place, found in enumerate(trains) if found), len(stages))


class PromptableSegmenter(Protocol):
    """A pretrained model that turns an image and prompts into masks. Each is an `nn.Module`."""

    @property
    def family(self) -> str:
        """The name of the architecture, for people."""
        ...

    @property
    def spec(self) -> SegmenterSpec:
        """Sizes, normalisation and number of candidates."""
        ...

    @property
    def commit(self) -> str | None:
        """The Hub commit that the weights came from; None for local ones."""
        ...

    @property
    def model(self) -> nn.Module:
        """The stock model, whose modules have the names that `transformers` gives them."""
        ...

    @property
    def encoder(self) -> nn.Module:
        """The image encoder; only `encode_prefix` and `encode_suffix` run it."""
        ...

    @property
    def stages(self) -> Sequence[EncoderStage]:
        """The encoder as steps, in order: the patch embedding, each block, the neck."""
        ...

    @property
    def blocks(self) -> Sequence[EncoderBlock]:
        """The encoder's transformer blocks, in order; none if it is built of convolutions."""
        ...

    @property
    def linears(self) -> Sequence[LinearSite]:
        """The Linear layers of the blocks, and of the mask decoder's attention."""
        ...

    @property
    def prompt_encoder(self) -> nn.Module:
        """Embeds points, boxes and masks."""
        ...

    @property
    def mask_decoder(self) -> nn.Module:
        """From features and embedded prompts to masks."""
        ...

    def encode(self, images: Tensor) -> ImageFeatures:
        """Run the encoder, once an image.

        Args:
            images: (B, 3, S, S) float32, normalised, model frame.
        """
        ...

    def encode_prefix(self, images: Tensor, *, boundary: int) -> Hidden:
        """Run the first `boundary` stages on images, as of `encode`; with 0 the images themselves."""
        ...

    def encode_suffix(self, hidden: Hidden, *, boundary: int, recompute: bool = False) -> ImageFeatures:
        """Run the stages from `boundary` on: both together are `encode`, to the last bit.

        With `recompute` nothing inside a stage is kept for the backward pass, which runs the stage a second time.
        """
        ...

    def decode(self, features: ImageFeatures, prompts: Prompts, *, multimask: bool) -> MaskPredictions:
        """Masks for each prompted object of B encoded images.

        Args:
            features: of the same B images.
            prompts: see `Prompts`; padding objects are not computed.
            multimask: True for `spec.candidates` candidates (a single click is ambiguous), False for one.
        """
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that `classify` tells apart, without the background; none of a prompted model."""
        ...

    def with_classes(self, names: Sequence[str]) -> "PromptableSegmenter":
        """The same model with a token for each class and the background in place of its candidates.

        The model itself is changed. One that has these classes already stays as it is.

        Raises:
            CheckpointError: the model has other classes.
        """
        ...

    def classify(self, features: ImageFeatures) -> Tensor:
        """Logits (B, 1 + classes, h, w) of the background and each class, in the whole model frame; without prompts.

        Args:
            features: of B images.
        """
        ...

    def at_input_size(self, size: int) -> "PromptableSegmenter":
        """The same weights for inputs of another size; what is known of positions is interpolated.

        Args:
            size: side of the model frame, a multiple of the patch size.

        Raises:
            CheckpointError: it is not a multiple.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` that plain `transformers` loads."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Name and value of each parameter; names are the stock model's behind `model.`."""
        ...

    def modules(self) -> Iterator[nn.Module]:
        """The segmenter and all modules in it."""
        ...

    def to(self, device: torch.device) -> Self:
        """The segmenter itself, moved to a device."""
        ...

    def eval(self) -> Self:
        """The segmenter itself, without what only training does."""
        ...


def encoder_trains(segmenter: PromptableSegmenter) -> bool:
    """Whether any parameter of the image encoder does."""
    return any(parameter.requires_grad for parameter in segmenter.encoder.parameters())
