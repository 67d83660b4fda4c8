"""COCO JSON as a format of review: masks as run lengths, identity and what else is known in `attributes`."""

import json
from collections.abc import Sequence
from pathlib import Path

from pycocotools import mask as coco

from adapt.errors import NO_FILE, DataError
from adapt.files import write_text
from adapt.formats.coco import CocoImage, CocoObject, rasterise, read_coco_dataset
from adapt.formats.review import (
    ReviewImage,
    ReviewObject,
    checked_size,
    encode_mask,
    refuse_outside,
    review_object,
    with_identity,
)


def write_coco_review(path: Path, images: Sequence[ReviewImage]) -> None:
    """Write an instances file; whole or not at all."""
    names = sorted({item.label for image in images for item in image.objects})
    annotations: list[dict[str, object]] = []
    for number, image in enumerate(images, start=1):
        for item in image.objects:
            rle = {"size": [image.height, image.width], "counts": item.mask}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(item.label) + 1,
                    "segmentation": {**rle, "counts": item.mask.decode()},
                    "area": int(coco.area(rle)),
                    "bbox": coco.toBbox(rle).tolist(),
                    "iscrowd": 0,
                    "attributes": with_identity(item),
                }
            )
    content = {
        "images": [
            {"id": number, "file_name": image.file_name, "height": image.height, "width": image.width}
            for number, image in enumerate(images, start=1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
        "annotations": annotations,
    }
    write_text(path, json.dumps(content) + "\n")


def read_coco_review(path: Path, *, max_pixels: int) -> list[ReviewImage]:
    """Images with their masks; polygons become masks.

    Args:
        path: an instances file.
        max_pixels: images that claim to have more are refused.

    Raises:
        DataError: missing, not COCO, or with a segmentation that is none or does not fit its image.
    """
    if not path.is_file():
        raise DataError(f"{path}: {NO_FILE}")
    return [_image(image, path, max_pixels) for image in read_coco_dataset(path).images]


def _image(image: CocoImage, path: Path, max_pixels: int) -> ReviewImage:
    source = f"{path}: image {image.file_name}"
    checked_size(image.height, image.width, max_pixels=max_pixels, source=source)
    objects = (_object(item, f"{source}, {item.category} {n}", image) for n, item in enumerate(image.objects, start=1))
    return ReviewImage(image.file_name, image.height, image.width, tuple(objects))


def _object(item: CocoObject, source: str, image: CocoImage) -> ReviewObject:
    try:
        for ring in item.segmentation if isinstance(item.segmentation, list) else []:
            points = [(float(x), float(y)) for x, y in zip(ring[0::2], ring[1::2], strict=True)]
            refuse_outside(points, height=image.height, width=image.width, source=source)
        mask = rasterise(item.segmentation, height=image.height, width=image.width)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise DataError(f"{source}: its segmentation is none ({error})") from None
    return review_object(item.category, encode_mask(mask, source=source), item.attributes)
