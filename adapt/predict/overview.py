"""One small picture of an input with its objects, to see at a glance what was found."""

import io
import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from adapt.drawing import distinct_colours
from adapt.predict.opened import Opened
from adapt.predict.segmenting import Segmentation
from adapt.tiles import Tile

SIDE = 1024
"""Longer side of the picture, at most."""
SMALLEST = 512
"""Smaller images are enlarged by a whole factor up to this."""
TINT = 0.4
Pixel = TypeVar("Pixel", bound=np.generic)


def draw_overview(opened: Opened, found: Segmentation) -> bytes:
    """A PNG of the image, or of the slice with most labelled pixels, its objects tinted and outlined."""
    index = _fullest(opened, found)
    step = math.ceil(max(opened.height, opened.width) / SIDE)
    pictures, maps = [], []
    for top, labels in found.strips(index):
        first = -top % step
        tile = Tile(top, 0, len(labels), opened.width)
        pictures.append(opened.picture(index, tile)[first::step, ::step])
        maps.append(labels[first::step, ::step])
    picture, shown = np.concatenate(pictures), np.concatenate(maps)
    larger = max(1, SMALLEST // max(picture.shape[:2]))
    drawn = _coloured(_enlarged(picture, larger), _enlarged(shown, larger))
    memory = io.BytesIO()
    Image.fromarray(drawn).save(memory, format="PNG")
    return memory.getvalue()


def _fullest(opened: Opened, found: Segmentation) -> int:
    """The slice with most labelled pixels."""
    if opened.slices == 1:
        return 0
    pixels = [sum(np.count_nonzero(labels) for _, labels in found.strips(index)) for index in range(opened.slices)]
    return pixels.index(max(pixels))


def _enlarged(values: npt.NDArray[Pixel], factor: int) -> npt.NDArray[Pixel]:
    return values.repeat(factor, 0).repeat(factor, 1)


def _coloured(picture: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    colours = distinct_colours(int(labels.max(initial=0)) + 1)[labels]
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    share = np.where(edge, 1.0, np.where(labels > 0, TINT, 0.0))[..., None]
    mixed: npt.NDArray[np.float64] = (1 - share) * picture + share * colours
    return np.rint(mixed).astype(np.uint8)
