"""COCO instances as run lengths with scores and where each mask comes from; one file an image, and all joined."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from adapt.files import write_text
from adapt.generate import GeneratedMask
from adapt.predict.segmenting import Found


def write_coco(
    path: Path,
    *,
    file_name: str,
    size: tuple[int, int],
    places: Sequence[Mapping[str, int]],
    objects: Mapping[int, Found],
    masks: Mapping[int, Sequence[tuple[int, GeneratedMask]]],
    category_of: Callable[[Found], str],
    about: Mapping[str, Any],
) -> None:
    """Write the masks of an image, or of each slice of a volume or stack, as they are: they may overlap.

    The score of a mask is that of the detector whose box has prompted it, else its predicted IoU.

    Args:
        path: of the file.
        file_name: of the image.
        size: its height and width.
        places: of each of its slices, what says which one it is; see `Opened.place_of`.
        objects: by number.
        masks: of each slice, number and mask of its objects.
        category_of: an object.
        about: the model and how it was asked; stands in `info`.
    """
    names = sorted({category_of(one) for one in objects.values()})
    categories = {name: number for number, name in enumerate(names, start=1)}
    images = [
        {"id": index + 1, "file_name": file_name, "height": size[0], "width": size[1], **place}
        for index, place in enumerate(places)
    ]
    annotations = [
        {
            "id": number,
            "image_id": index + 1,
            "category_id": categories[category_of(objects[of])],
            "segmentation": {"size": list(size), "counts": mask.rle["counts"].decode("ascii")},
            "area": mask.area,
            "bbox": [mask.box[0], mask.box[1], mask.box[2] - mask.box[0] + 1, mask.box[3] - mask.box[1] + 1],
            "iscrowd": 0,
            "score": objects[of].prompt.get("detector_score", mask.predicted_iou),
            "predicted_iou": mask.predicted_iou,
            "object": of,
            "prompt": dict(objects[of].prompt),
        }
        for number, (index, of, mask) in enumerate(
            ((index, of, mask) for index in sorted(masks) for of, mask in masks[index] if mask.area), start=1
        )
    ]
    named = [{"id": number, "name": name} for name, number in categories.items()]
    content = {"info": dict(about), "images": images, "categories": named, "annotations": annotations}
    write_text(path, json.dumps(content) + "\n")


def join_coco(path: Path, parts: Sequence[Path]) -> None:
    """Write one file with the images of several, numbered through."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    image_ids, annotation_ids = count(1), count(1)
    about: dict[str, Any] = {}
    for part in parts:
        content = json.loads(part.read_text(encoding="utf-8"))
        about = content["info"]
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        numbers = {entry["id"]: next(image_ids) for entry in content["images"]}
        images += [{**entry, "id": numbers[entry["id"]]} for entry in content["images"]]
        for entry in content["annotations"]:
            category = categories.setdefault(names[entry["category_id"]], len(categories) + 1)
            own = {"id": next(annotation_ids), "image_id": numbers[entry["image_id"]], "category_id": category}
            annotations.append({**entry, **own})
    named = [{"id": number, "name": name} for name, number in categories.items()]
    write_text(
        path,
        json.dumps({"info": about, "images": images, "categories": named, "annotations": annotations}) + "\n",
    )
