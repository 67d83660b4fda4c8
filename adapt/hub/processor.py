"""What the processor of a family reads beside a model: how an image is resized, padded and normalised.

Written as JSON, since the processors of stretched images need torchvision even to be made.
"""

import json
from pathlib import Path
from typing import Any

from adapt.hub.stock import STOCK
from adapt.segmenters import SegmenterSpec

BILINEAR = 2
"""Of Pillow's ways to resample."""


def write_processor(spec: SegmenterSpec, family: str, folder: Path) -> None:
    """Write `processor_config.json`, and `preprocessor_config.json` for older versions of transformers.

    Args:
        spec: of the segmenter.
        family: of `adapt.families`.
        folder: of its checkpoint.
    """
    stock = STOCK[family]
    images = {**_of_images(spec), "image_processor_type": stock.image_processor}
    named = {"processor_class": stock.processor}
    _write(folder / "processor_config.json", {"image_processor": images, **named})
    _write(folder / "preprocessor_config.json", {**images, **named})


def _of_images(spec: SegmenterSpec) -> dict[str, Any]:
    common = {
        "do_convert_rgb": True,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "resample": BILINEAR,
        "rescale_factor": 1 / 255,
        "image_mean": [value / 255 for value in spec.pixel_mean],
        "image_std": [value / 255 for value in spec.pixel_std],
    }
    if spec.fit == "stretch":
        return {**common, "size": _square(spec.image_size), "mask_size": _square(spec.mask_size)}
    return {
        **common,
        "do_pad": True,
        "size": {"longest_edge": spec.image_size},
        "pad_size": _square(spec.image_size),
        "mask_size": {"longest_edge": spec.mask_size},
        "mask_pad_size": _square(spec.mask_size),
    }


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
