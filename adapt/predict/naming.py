"""Objects of an input by a model that finds them by text itself, without a detector and without boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from adapt.generate import GeneratedMask
from adapt.predict.asking import Answer, encode
from adapt.predict.opened import Opened
from adapt.predict.segmenting import Found, Segmentation, as_mask, strips_of
from adapt.recipe import GenerateSettings, PredictSettings
from adapt.segmenters import ImageFeatures, PromptableSegmenter
from adapt.text import TextMask


class FindMasks(Protocol):
    """What finds the masks of phrases in an image that is encoded."""

    def __call__(self, features: ImageFeatures, *, height: int, width: int) -> Sequence[TextMask]:
        """Masks (height, width), from the features of the image."""
        ...


@dataclass(frozen=True, eq=False)
class TextMasks:
    """What finds the masks of phrases.

    Attributes:
        find: from the features of an image, its `height` and its `width` to the masks in it.
        about: see `TextBoxes`.
        advice: likewise.
    """

    find: FindMasks
    about: Mapping[str, Any]
    advice: str


@dataclass(frozen=True)
class NamingModel:
    """See `Model`; this one has no use for prompts other than text."""

    segmenter: PromptableSegmenter
    device: torch.device
    text: TextMasks
    generate: GenerateSettings
    predict: PredictSettings


def segment_named(model: NamingModel, opened: Opened, *, advance: Callable[[], None]) -> Segmentation:
    """Objects of an input that is looked at slice by slice, each slice whole.

    Args:
        model: see `NamingModel`.
        opened: the input.
        advance: called after each slice.
    """
    objects: list[Found] = []
    masks: dict[int, list[tuple[int, GeneratedMask]]] = {}
    for index in range(opened.slices):
        picture = np.ascontiguousarray(opened.picture(index, opened.whole))
        features = encode(model.segmenter, picture, model.device)
        for one in model.text.find(features, height=picture.shape[0], width=picture.shape[1]):
            number = len(objects) + 1
            place = index if opened.slices > 1 else None
            objects.append(Found(number, one.score, one.phrase, {"text": one.phrase}, place))
            answer = Answer(mask=one.mask, logits=torch.empty(0), predicted_iou=one.score)
            masks.setdefault(index, []).append((number, as_mask(answer)))
        advance()
    return Segmentation(objects, strips_of(masks, opened, model.generate, prompted=True), masks)
