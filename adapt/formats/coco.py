"""COCO instance annotations (JSON), read and checked whole before any image is opened."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco

from adapt.errors import DataError
from adapt.wording import listed


@dataclass(frozen=True)
class CocoObject:
    """One instance: category name, and its polygons or RLE as the file has them.

    Attributes:
        score: of a prediction; None where the file has none.
        attributes: whatever else a program keeps of it.
    """

    category: str
    segmentation: Any
    score: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CocoImage:
    """One image of the file with its instances.

    Attributes:
        number: its id in the file.
        crowds: what stands for many instances (`iscrowd`), and is none of the objects.
    """

    file_name: str
    height: int
    width: int
    objects: tuple[CocoObject, ...]
    crowds: tuple[CocoObject, ...] = ()
    number: int = 0


@dataclass(frozen=True)
class CocoDataset:
    """A whole file; `categories` are all names by their id."""

    images: tuple[CocoImage, ...]
    categories: Mapping[int, str]


def read_coco(path: Path) -> list[CocoImage]:
    """Images of a COCO instances file, in its order; see `read_coco_dataset`."""
    return list(read_coco_dataset(path).images)


def read_coco_dataset(path: Path) -> CocoDataset:
    """A COCO instances file.

    Raises:
        DataError: missing, not JSON, without the lists of COCO, or with annotations of unknown images or
            categories, or without a segmentation (the first are listed).
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        names = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
        images = {int(entry["id"]): entry for entry in content["images"]}
        objects: dict[int, list[CocoObject]] = {number: [] for number in images}
        crowds: dict[int, list[CocoObject]] = {number: [] for number in images}
        faults = []
        for entry in content["annotations"]:
            number, category, crowd = int(entry["image_id"]), int(entry["category_id"]), bool(entry.get("iscrowd"))
            known = number in images and category in names
            if known and entry.get("segmentation"):
                kept = entry.get("attributes")
                attributes = kept if isinstance(kept, dict) else {}  # COCO has none; programs keep what they like there
                found = CocoObject(names[category], entry["segmentation"], _score(entry), attributes)
                (crowds if crowd else objects)[number].append(found)
            elif not crowd:  # where one lies is of no use to training
                faults.append(f"annotation {entry.get('id')}: {_fault(entry, images, names)}")
        found_images = tuple(
            CocoImage(
                file_name=str(entry["file_name"]),
                height=int(entry["height"]),
                width=int(entry["width"]),
                objects=tuple(objects[number]),
                crowds=tuple(crowds[number]),
                number=number,
            )
            for number, entry in images.items()
        )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; set data.annotation_file") from None
    except KeyError as error:
        raise DataError(f"{path}: not a COCO instances file: {error} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"{path}: not a readable COCO instances file ({error})") from None
    if faults:
        raise DataError(f"{path}: {listed(faults)}. Correct or remove these annotations")
    return CocoDataset(images=found_images, categories=names)


def _score(entry: Mapping[str, Any]) -> float | None:
    if entry.get("score") is None:
        return None
    score = float(entry["score"])
    if not math.isfinite(score):
        raise ValueError(f"score {score} of annotation {entry.get('id')}")
    return score


def _fault(entry: Mapping[str, Any], images: Mapping[int, Any], names: Mapping[int, str]) -> str:
    if int(entry["image_id"]) not in images:
        return f"no image {int(entry['image_id'])}"
    if int(entry["category_id"]) not in names:
        return f"no category {int(entry['category_id'])}"
    return "no segmentation (a box alone is no mask)"


def rasterise(segmentation: Any, *, height: int, width: int) -> npt.NDArray[np.bool_]:  # noqa: ANN401 - as in the file
    """The (H, W) bool mask of a segmentation: polygons in pixels, or RLE, compressed or not.

    Raises:
        ValueError: it is neither, or does not fit the size.
    """
    if isinstance(segmentation, list):
        if not all(isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in segmentation):
            raise ValueError("a polygon needs at least three points x, y")
        try:
            rings = [[float(v) for v in ring] for ring in segmentation]
        except OverflowError:
            raise ValueError("a coordinate is far outside of any image") from None
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
