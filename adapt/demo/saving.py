"""A mask as files: a PNG of the image's size, and a COCO file with its run lengths and how it was asked for."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adapt.demo.history import Step
from adapt.formats import encode_masks
from adapt.tiles import Tile

CATEGORY = "object"


def coco_json(
    mask: npt.NDArray[np.bool_],
    *,
    file_name: str,
    place: Mapping[str, int],
    tile: Tile,
    step: Step,
    score: float,
    about: Mapping[str, Any],
) -> str:
    """One mask as a COCO instances file, which `adapt` and any COCO program reads.

    Args:
        mask: (H, W) bool, of the whole image or slice.
        file_name: of the image.
        place: slice of a volume or stack, and frame, from 0; empty for an image of one.
        tile: where the clicks lie, so that they can be told in the frame of the whole.
        step: the prompts.
        score: predicted IoU.
        about: the model; stands in `info`.
    """
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [0, 0, 0, 0]
    if len(rows):
        box = [int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
    wanted = step.wanted.moved(-tile.left, -tile.top)
    annotation = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "segmentation": {"size": [height, width], "counts": encode_masks(mask[None])[0].decode("ascii")},
        "area": int(np.count_nonzero(mask)),
        "bbox": box,
        "iscrowd": 0,
        "score": score,
        "prompt": {"clicks": wanted.clicks, "box": wanted.box},
    }
    content = {
        "info": dict(about),
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width, **place}],
        "categories": [{"id": 1, "name": CATEGORY}],
        "annotations": [annotation],
    }
    return json.dumps(content, indent=1) + "\n"
