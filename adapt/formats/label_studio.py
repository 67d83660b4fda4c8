"""Label Studio tasks (JSON): predictions as brush masks to be imported, annotations read back.

A region keeps its id; its attributes are a note on it (`meta.text`), one `name: value` a line. A task that nobody has
submitted is not reviewed, and is left out.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt.errors import NO_FILE, DataError
from adapt.files import write_text
from adapt.formats.brush_rle import decode_brush, encode_brush
from adapt.formats.review import (
    IDENTITY,
    ReviewImage,
    ReviewObject,
    checked_size,
    encode_mask,
    polygon_mask,
    review_object,
)
from adapt.formats.rle import decode_masks

CONTROL, PICTURE = "label", "image"
"""Names of the tags of the labelling interface: <BrushLabels name="label" toName="image">, <Image name="image">."""


def write_label_studio(path: Path, images: Sequence[ReviewImage], *, address: str, model: str) -> None:
    """Write a task an image, with its masks as a prediction; whole or not at all.

    Args:
        path: of the file.
        images: with their masks.
        address: what stands in front of a file's name where Label Studio finds it, `/data/local-files/?d=images/`.
        model: that the masks are from.
    """
    tasks = [
        {
            "data": {
                PICTURE: f"{address}{image.file_name}",
                "file_name": image.file_name,
                "height": image.height,
                "width": image.width,
            },
            "predictions": [{"model_version": model, "result": [_region(item, image) for item in image.objects]}],
        }
        for image in images
    ]
    write_text(path, json.dumps(tasks) + "\n")


def _region(item: ReviewObject, image: ReviewImage) -> dict[str, Any]:
    (mask,) = decode_masks([item.mask], height=image.height, width=image.width)
    return {
        "id": item.identity,
        "type": "brushlabels",
        "from_name": CONTROL,
        "to_name": PICTURE,
        "original_width": image.width,
        "original_height": image.height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [item.label]},
        "meta": {"text": [f"{name}: {value}" for name, value in item.attributes.items()]},
    }


def read_label_studio(path: Path, *, max_pixels: int) -> list[ReviewImage]:
    """Images that were reviewed, with their masks; polygons become masks.

    Args:
        path: an export in Label Studio's own JSON.
        max_pixels: images that claim to have more are refused.

    Raises:
        DataError: missing, not JSON, tasks that `write_label_studio` has not made, several annotations of one task, or
            a region that is no mask or does not fit its image.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(tasks, list):
            raise ValueError("it is no list of tasks")
        reviewed = [(task, _annotation(task, path)) for task in tasks]
        return [
            _image(task["data"], annotation["result"], path, max_pixels)
            for task, annotation in reviewed
            if annotation is not None
        ]
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except KeyError as error:
        raise DataError(
            f"{path}: {error} is missing; export the project that adapt's tasks were imported to, as JSON"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise DataError(f"{path}: not a readable export of Label Studio ({error}); export it as JSON") from None


def _annotation(task: Mapping[str, Any], path: Path) -> Mapping[str, Any] | None:
    found = [entry for entry in task.get("annotations", []) if not entry.get("was_cancelled")]
    if len(found) > 1:
        raise DataError(f"{path}: {task['data']['file_name']} has {len(found)} annotations; keep one of them")
    return found[0] if found else None


def _image(data: Mapping[str, Any], regions: Sequence[Mapping[str, Any]], path: Path, max_pixels: int) -> ReviewImage:
    name, height, width = str(data["file_name"]), int(data["height"]), int(data["width"])
    source = f"{path}: image {name}"
    checked_size(height, width, max_pixels=max_pixels, source=source)
    objects = (_object(region, f"{source}, region {region['id']}", height, width) for region in regions)
    return ReviewImage(file_name=name, height=height, width=width, objects=tuple(objects))


def _object(region: Mapping[str, Any], source: str, height: int, width: int) -> ReviewObject:
    kind, value = region["type"], region["value"]
    size = (int(region["original_height"]), int(region["original_width"]))
    if size != (height, width):
        raise DataError(f"{source}: was drawn on {size}, but the image is {(height, width)} (rows, columns)")
    if kind == "brushlabels" and value.get("format") == "rle":
        try:
            mask = encode_mask(decode_brush(value["rle"], height=height, width=width), source=source)
        except ValueError as error:
            raise DataError(f"{source}: its brush mask cannot be read ({error}); export it again") from None
    elif kind == "polygonlabels":
        points = [(float(x) * width / 100, float(y) * height / 100) for x, y in value["points"]]
        mask = polygon_mask(points, height=height, width=width, source=source)
    else:
        raise DataError(f"{source}: is of type {kind}, which is no mask; use the brush, or polygons")
    labels = value[kind]
    if len(labels) != 1:
        raise DataError(f"{source}: has {len(labels)} labels; give it one")
    notes = (line.partition(": ") for line in (region.get("meta") or {}).get("text") or [])
    attributes = {name: text for name, divider, text in notes if divider}
    # A region that people draw has an id as well; only what was exported has a note.
    return review_object(str(labels[0]), mask, attributes | {IDENTITY: str(region["id"])})
