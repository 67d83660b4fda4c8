"""CVAT for images 1.1 (XML): masks as run lengths inside their box, row by row; polygons are read as well.

Identity and attributes are attributes of the masks. CVAT keeps those that the labels of its task have: give each label
text attributes of these names when the task is made (the file's <labels> lists them).
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from adapt.errors import DataError
from adapt.files import write_file
from adapt.formats.review import (
    IDENTITY,
    ReviewImage,
    ReviewObject,
    checked_size,
    encode_mask,
    polygon_mask,
    review_object,
    with_identity,
)
from adapt.formats.rle import decode_masks
from adapt.formats.xml import read_xml

SHAPES = ("mask", "polygon")
OTHER_SHAPES = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")


def write_cvat(path: Path, images: Sequence[ReviewImage]) -> None:
    """Write images with their masks; whole or not at all."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    labels = ElementTree.SubElement(task, "labels")
    names = sorted({name for image in images for item in image.objects for name in item.attributes})
    for label in sorted({item.label for image in images for item in image.objects}):
        entry = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(entry, "name").text = label
        attributes = ElementTree.SubElement(entry, "attributes")
        for name in (IDENTITY, *names):
            attribute = ElementTree.SubElement(attributes, "attribute")
            for key, text in (("name", name), ("mutable", "False"), ("input_type", "text"), ("default_value", "")):
                ElementTree.SubElement(attribute, key).text = text
    for number, image in enumerate(images):
        facts = {"id": number, "name": image.file_name, "width": image.width, "height": image.height}
        place = ElementTree.SubElement(root, "image", {key: str(value) for key, value in facts.items()})
        for item in image.objects:
            _add_mask(place, item, image)
    ElementTree.indent(root)
    content = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    write_file(path, lambda file: file.write(content + b"\n"))


def _add_mask(place: ElementTree.Element, item: ReviewObject, image: ReviewImage) -> None:
    (mask,) = decode_masks([item.mask], height=image.height, width=image.width)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    facts = {
        "label": item.label,
        "source": "auto",
        "occluded": 0,
        "rle": ", ".join(map(str, _runs(inside))),
        "left": columns[0],
        "top": rows[0],
        "width": inside.shape[1],
        "height": inside.shape[0],
        "z_order": 0,
    }
    shape = ElementTree.SubElement(place, "mask", {key: str(value) for key, value in facts.items()})
    for name, value in with_identity(item).items():
        ElementTree.SubElement(shape, "attribute", name=name).text = value


def _runs(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of 0 and 1 in turn, row by row, from 0 on."""
    flat = mask.reshape(-1)
    ends = [*(np.flatnonzero(flat[1:] != flat[:-1]) + 1).tolist(), len(flat)]
    runs = np.diff([0, *ends]).tolist()
    return [0, *runs] if flat[0] else runs


def read_cvat(path: Path, *, max_pixels: int) -> list[ReviewImage]:
    """Images with their masks; polygons become masks.

    Args:
        path: an XML file of CVAT for images.
        max_pixels: images that claim to have more are refused.

    Raises:
        DataError: missing, not well formed, with a document type, no CVAT for images, or with a shape that is no mask
            or does not fit its image.
    """
    root = read_xml(path)
    if root.tag != "annotations" or root.find("track") is not None:
        raise DataError(f"{path}: is no file of CVAT for images; export the task as 'CVAT for images 1.1'")
    return [_image(entry, path, max_pixels) for entry in root.findall("image")]


def _image(entry: ElementTree.Element, path: Path, max_pixels: int) -> ReviewImage:
    name = entry.get("name", "")
    source = f"{path}: image {name}"
    height, width = (_number(entry, key, source) for key in ("height", "width"))
    checked_size(height, width, max_pixels=max_pixels, source=source)
    others = [shape.tag for shape in entry if shape.tag in OTHER_SHAPES]
    if others:
        raise DataError(f"{source}: has a {others[0]}, which is no mask; draw a mask or a polygon instead")
    shapes = [shape for shape in entry if shape.tag in SHAPES]
    objects = (_object(shape, f"{source}, {shape.tag} {n}", height, width) for n, shape in enumerate(shapes, start=1))
    return ReviewImage(file_name=name, height=height, width=width, objects=tuple(objects))


def _object(shape: ElementTree.Element, source: str, height: int, width: int) -> ReviewObject:
    if shape.tag == "polygon":
        mask = polygon_mask(_points(shape, source), height=height, width=width, source=source)
    else:
        mask = encode_mask(_drawn(shape, source, height, width), source=source)
    attributes = {entry.get("name", ""): entry.text for entry in shape.findall("attribute")}
    return review_object(shape.get("label", ""), mask, attributes)


def _points(shape: ElementTree.Element, source: str) -> list[tuple[float, float]]:
    try:
        pairs = [point.split(",") for point in shape.get("points", "").split(";")]
        return [(float(x), float(y)) for x, y in pairs]
    except ValueError:
        raise DataError(f"{source}: its points are not x,y;x,y;...; export it again") from None


def _drawn(shape: ElementTree.Element, source: str, height: int, width: int) -> npt.NDArray[np.bool_]:
    left, top, wide, tall = (_number(shape, key, source) for key in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(wide, tall) < 1 or left + wide > width or top + tall > height:
        raise DataError(
            f"{source}: its box (left {left}, top {top}, {wide} x {tall}) is outside of the image of {width} x "
            f"{height} pixels"
        )
    try:
        runs = np.array([int(run) for run in shape.get("rle", "").split(",")], dtype=np.int64)
    except (ValueError, OverflowError):
        raise DataError(f"{source}: its rle is not a list of numbers; export it again") from None
    if (runs < 0).any() or (runs > wide * tall).any() or runs.sum() != wide * tall:
        raise DataError(f"{source}: its rle does not add up to the {wide * tall} pixels of its box; export it again")
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + tall, left : left + wide] = np.repeat(np.arange(len(runs)) % 2 > 0, runs).reshape(tall, wide)
    return mask


def _number(entry: ElementTree.Element, key: str, source: str) -> int:
    text = entry.get(key, "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise DataError(f"{source}: its {key} is {text[:20]!r}, which is no number of pixels")
    return int(text)
