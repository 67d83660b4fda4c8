"""Objects of an input by a model that finds them by text itself, without a detector and without boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from adapt.generate import GeneratedMask
from adapt.predict.asking import Answer
from adapt.predict.opened import Image, Opened
from adapt.predict.segmenting import Found, Segmentation, as_mask, strips_of
from adapt.recipe import GenerateSettings, PredictSettings
from adapt.text import TextMask


@dataclass(frozen=True, eq=False)
class TextMasks:
    """What finds the masks of phrases.

    Attributes:
        find: from an image (H, W, 3) uint8 to the masks in it.
        about: see `TextBoxes`.
        advice: likewise.
    """

    find: Callable[[Image], Sequence[TextMask]]
    about: Mapping[str, Any]
    advice: str


@dataclass(frozen=True)
class NamingModel:
    """See `Model`; this one has no use for prompts other than text."""

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
        for one in model.text.find(opened.picture(index, opened.whole)):
            number = len(objects) + 1
            place = index if opened.slices > 1 else None
            objects.append(Found(number, one.score, one.phrase, {"text": one.phrase}, place))
            answer = Answer(mask=one.mask, logits=torch.empty(0), predicted_iou=one.score)
            masks.setdefault(index, []).append((number, as_mask(answer)))
        advance()
    return Segmentation(objects, strips_of(masks, opened, model.generate, prompted=True), masks)
