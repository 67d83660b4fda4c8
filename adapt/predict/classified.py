"""From an open input to its label map of fixed classes, without prompts: whole or in tiles, slice by slice."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from adapt.files import make_folder
from adapt.predict.asking import encode
from adapt.predict.mosaic import Part, compose, read_labels, write_spool
from adapt.predict.opened import Image, Opened
from adapt.predict.segmenting import Found, Model, Segmentation, Strips
from adapt.predict.stitching import cores
from adapt.semantic import answered
from adapt.tiles import Tile, tile_image


def segment_classes(model: Model, opened: Opened, *, work: Path, advance: Callable[[], None]) -> Segmentation:
    """The label map of an input, whose objects are all classes, numbered as in training, found or not.

    A tile has the word in its core, which is nearer to its middle than to that of any other. What is done lies in
    `work`, and is not done again.

    Args:
        model: has classes.
        opened: the input.
        work: folder that keeps label maps of tiles, or of whole slices.
        advance: called after each of them.
    """
    make_folder(work, then="or give --output another folder")
    tiled = opened.tile_size is not None and max(opened.height, opened.width) > opened.tile_size
    tiles = [opened.whole]
    if tiled and opened.tile_size is not None:
        tiles = tile_image(opened.height, opened.width, size=opened.tile_size, overlap=opened.tile_overlap)
    for index in range(opened.slices):
        for place, tile in enumerate(tiles):
            spool = _spool(work, index, place)
            if not spool.exists():
                write_spool(spool, _labels(model, opened.picture(index, tile)), [])
            advance()
    classes = model.segmenter.classes
    objects = [Found(value, math.nan, name, {}, None) for value, name in enumerate(classes, start=1)]
    numbers = np.arange(len(classes) + 1, dtype=np.int64)

    def strips(index: int) -> Strips:
        parts = [
            Part(core, core, partial(_core_labels, _spool(work, index, place), tile, core), numbers)
            for place, (tile, core) in enumerate(zip(tiles, cores(tiles), strict=True))
        ]
        return compose(parts, height=opened.height, width=opened.width)

    return Segmentation(objects, strips, None)


def _spool(work: Path, index: int, place: int) -> Path:
    return work / f"{index:04d}_{place:06d}.npz"


def _core_labels(spool: Path, tile: Tile, core: Tile) -> npt.NDArray[np.integer]:
    top, left = core.top - tile.top, core.left - tile.left
    return read_labels(spool)[top : top + core.height, left : left + core.width]


@torch.inference_mode()
def _labels(model: Model, image: Image) -> npt.NDArray[np.int64]:
    """(H, W) values of the classes of an image."""
    height, width = image.shape[:2]
    features = encode(model.segmenter, np.ascontiguousarray(image), model.device)
    return answered(model.segmenter.classify(features)[0], model.segmenter.spec.frame(height, width))
