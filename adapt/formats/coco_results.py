"""COCO results: a JSON list of scored masks, which point to the images and categories of an instances file."""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapt.errors import DataError
from adapt.formats.coco import CocoDataset, CocoImage, CocoObject, read_coco_dataset
from adapt.wording import counted, listed


def read_coco_predictions(path: Path, truth: CocoDataset, *, ignore_categories: bool) -> list[CocoImage]:
    """What was predicted for each image of the truth, in its order.

    Args:
        path: a list of results, by the numbers of the truth; or an instances file, by names of images and categories.
        truth: the images.
        ignore_categories: predictions may have any category, or none.

    Raises:
        DataError: unreadable; other images than the truth, or not all of them; an unknown category; or a prediction
            without a mask, or a result without a score that is a number.

    A category of an instances file that is called by a number of the truth, as where boxes of a detector's results have
    prompted it, is the one of that number.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable COCO file ({error})") from None
    if isinstance(content, list):
        return _from_results(content, truth, path, ignore_categories=ignore_categories)
    return _from_dataset(read_coco_dataset(path), truth, path, ignore_categories=ignore_categories)


def _from_results(content: list[Any], truth: CocoDataset, path: Path, *, ignore_categories: bool) -> list[CocoImage]:
    """An image that no result names is one in which nothing was found."""
    objects: dict[int, list[CocoObject]] = {image.number: [] for image in truth.images}
    faults = []
    for place, entry in enumerate(content):
        fault = _fault(entry, objects, None if ignore_categories else truth.categories)
        if fault is None:
            category = "" if ignore_categories else truth.categories[entry["category_id"]]
            found = CocoObject(category, entry["segmentation"], score=float(entry["score"]))
            objects[entry["image_id"]].append(found)
        else:
            faults.append(f"result {place}: {fault}")
    if faults:
        raise DataError(
            f"{path}: {counted(len(faults), 'result')} cannot be used: {listed(faults)}. Predict for the images of the "
            "truth, with masks and scores"
        )
    return [replace(image, objects=tuple(objects[image.number]), crowds=()) for image in truth.images]


def _fault(entry: object, images: Mapping[int, object], categories: Mapping[int, str] | None) -> str | None:
    if not isinstance(entry, dict):
        return "is no object of JSON"
    for what, known in (("image", images), ("category", categories)):
        number = entry.get(f"{what}_id")
        if known is not None and (type(number) is not int or number not in known):
            return f"no {what} {number!r} in the truth"
    if not entry.get("segmentation"):
        return "no segmentation (a box alone is no mask; prompt with it first)"
    score = entry.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) <= sys.float_info.max:
        return f"score {score!r} is no number"
    return None


def _from_dataset(found: CocoDataset, truth: CocoDataset, path: Path, *, ignore_categories: bool) -> list[CocoImage]:
    times = Counter(image.file_name for image in found.images)
    twice = [name for name, count in times.items() if count > 1]
    if twice:
        raise DataError(f"{path}: listed more than once: {listed(twice)}; give each image its own file_name")
    found = CocoDataset(
        images=tuple(_with_names(image, truth.categories) for image in found.images), categories=found.categories
    )
    used = set() if ignore_categories else {entry.category for image in found.images for entry in image.objects}
    by_name = {image.file_name: image for image in found.images}
    names = [image.file_name for image in truth.images]
    lonely = (
        ("image", "is in the truth alone", "are in the truth alone", sorted(set(names) - set(by_name))),
        ("image", "is not in the truth", "are not in the truth", sorted(set(by_name) - set(names))),
        ("category", "is not in the truth", "are not in the truth", sorted(used - set(truth.categories.values()))),
    )
    faults = [
        f"{what} {listed(wrong)} {one if len(wrong) == 1 else many}" for what, one, many, wrong in lonely if wrong
    ]
    if faults:
        raise DataError(f"{path}: {'; '.join(faults)}. Use the same file_name and names of categories in both files")
    for image in truth.images:
        size = (by_name[image.file_name].height, by_name[image.file_name].width)
        if size != (image.height, image.width):
            raise DataError(
                f"{path}: {image.file_name} is {size}, but {(image.height, image.width)} in the truth (rows, columns)"
            )
    return [by_name[name] for name in names]


def _with_names(image: CocoImage, categories: Mapping[int, str]) -> CocoImage:
    """An image whose objects are called by name, not by the number of a category."""
    names = {str(number): name for number, name in categories.items() if str(number) not in categories.values()}
    return replace(
        image, objects=tuple(replace(one, category=names.get(one.category, one.category)) for one in image.objects)
    )
