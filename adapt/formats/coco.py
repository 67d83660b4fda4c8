"""COCO instance annotations (JSON), read and checked whole before any image is opened."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from adapt.errors import DataError
from adapt.wording import listed


@dataclass(frozen=True)
class CocoObject:
    """One instance: category name, and its polygons or RLE as the file has them."""

    category: str
    segmentation: Any


@dataclass(frozen=True)
class CocoImage:
    """One image of the file with its instances; crowds (`iscrowd`) are left out."""

    file_name: str
    height: int
    width: int
    objects: tuple[CocoObject, ...]


def read_coco(path: Path) -> list[CocoImage]:
    """Images of a COCO instances file, in its order.

    Raises:
        DataError: missing, not JSON, without the lists of COCO, or with annotations of unknown images or
            categories, or without a segmentation (the first are listed).
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        names = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
        images = {int(entry["id"]): entry for entry in content["images"]}
        objects: dict[int, list[CocoObject]] = {number: [] for number in images}
        faults = []
        for entry in content["annotations"]:
            if entry.get("iscrowd"):
                continue
            number, category = int(entry["image_id"]), int(entry["category_id"])
            if number not in images:
                faults.append(f"annotation {entry.get('id')}: no image {number}")
            elif category not in names:
                faults.append(f"annotation {entry.get('id')}: no category {category}")
            elif not entry.get("segmentation"):
                faults.append(f"annotation {entry.get('id')}: no segmentation (a box alone is no mask)")
            else:
                objects[number].append(CocoObject(names[category], entry["segmentation"]))
        found = [
            CocoImage(str(e["file_name"]), int(e["height"]), int(e["width"]), tuple(objects[number]))
            for number, e in images.items()
        ]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; set data.annotation_file") from None
    except KeyError as error:
        raise DataError(f"{path}: not a COCO instances file: {error} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: not a readable COCO instances file ({error})") from None
    if faults:
        raise DataError(f"{path}: {listed(faults)}. Correct or remove these annotations")
    return found


def rasterise(segmentation: Any, *, height: int, width: int) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - as in the file
    """The (H, W) bool mask of a segmentation: polygons in pixels, or RLE, compressed or not.

    Raises:
        ValueError: it is neither, or does not fit the size.
    """
    if isinstance(segmentation, list):
        if not all(isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in segmentation):
            raise ValueError("a polygon needs at least three points x, y")
        rings = [[float(v) for v in ring] for ring in segmentation]
        reach = 2 * max(height, width)  # pycocotools would take memory for each pixel of an edge
        far = [v for ring in rings for v in ring if not -reach <= v <= reach]
        if far:
            raise ValueError(f"coordinate {far[0]:g} is far outside of {width} x {height} pixels")
        encoded = coco.merge(coco.frPyObjects(rings, height, width))
    elif isinstance(segmentation, dict) and list(segmentation.get("size", [])) == [height, width]:
        counts = segmentation.get("counts")
        if isinstance(counts, list):
            if not all(type(run) is int and run >= 0 for run in counts) or sum(counts) != height * width:
                raise ValueError(f"RLE whose runs do not add up to the {height * width} pixels of the image")
            encoded = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
        else:
            encoded = {"size": [height, width], "counts": counts if isinstance(counts, bytes) else str(counts).encode()}
    else:
        raise ValueError(f"neither polygons nor RLE of size {[height, width]}")
    return np.asarray(coco.decode(encoded)).astype(bool)
