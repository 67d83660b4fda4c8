"""YOLO segmentation: a text file of polygons an image, and the names of their classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from adapt.errors import NO_FILE, DataError
from adapt.wording import listed

ROUNDING = 1e-3
"""How far a coordinate may lie outside 0..1; exporters round and clip."""
MAX_NAMES_BYTES = 1_000_000


@dataclass(frozen=True)
class YoloObject:
    """One instance: category name, and the x, y of its outline in turn, as shares of width and height (0..1)."""

    category: str
    outline: tuple[float, ...]


def read_yolo_labels(path: Path, names: Mapping[int, str]) -> list[YoloObject]:
    """Objects of a label file, in its order; none of an empty file.

    Args:
        path: lines `class x1 y1 x2 y2 x3 y3 ...`.
        names: of each class number.

    Raises:
        DataError: missing, not text, or a line that is no polygon of a known class; names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # editors of Windows begin with a byte order mark
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a UTF-8 text ({error})") from None
    return [_object(line, names, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _object(line: str, names: Mapping[int, str], place: str) -> YoloObject:
    try:
        number, *outline = [float(word) for word in line.split()]
    except ValueError:
        raise DataError(f"{place}: not numbers: {line[:60]!r}; a line is class x1 y1 x2 y2 x3 y3 ...") from None
    if len(outline) == 4:
        raise DataError(
            f"{place}: holds a box, not an outline; export the labels as segmentation polygons, "
            "or draw masks with a promptable model first"
        )
    if len(outline) < 6 or len(outline) % 2:
        raise DataError(f"{place}: {len(outline)} coordinates; an outline has at least three points x y")
    if number not in names:
        known = ", ".join(f"{index}: {name}" for index, name in names.items())
        raise DataError(f"{place}: no class {number:g}; the names have {known}. Correct names, or data.class_names")
    bad = [value for value in outline if not (math.isfinite(value) and -ROUNDING <= value <= 1 + ROUNDING)]
    if bad:
        raise DataError(
            f"{place}: coordinate {bad[0]:g} is not a share of the image (0 to 1); "
            "divide x by the image's width and y by its height"
        )
    return YoloObject(names[int(number)], tuple(min(max(value, 0.0), 1.0) for value in outline))


def read_yolo_names(path: Path) -> dict[int, str]:
    """Number and name of each class of a YOLO `data.yaml`; nothing else in the file is used, so no path of it either.

    Raises:
        DataError: missing, not plain YAML, or without `names` as a list or a mapping of numbers.
    """
    try:
        if path.stat().st_size > MAX_NAMES_BYTES:
            raise DataError(f"{path}: larger than {MAX_NAMES_BYTES:,} bytes; this is no file of names")
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; set data.names_file, or data.class_names=[first, second]") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: not a readable YAML file ({error})") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{path}: has no names; write names: [first, second], or names: {{0: first, 1: second}}")
    wrong = [f"{number!r}: {name!r}" for number, name in names.items() if type(number) is not int or not _is_name(name)]
    if wrong:
        raise DataError(f"{path}: names must be numbers with names, not {listed(wrong)}")
    return {number: str(name) for number, name in names.items()}


def _is_name(name: object) -> bool:
    """Classes are also called 0, 1, 2."""
    return isinstance(name, str | int) and not isinstance(name, bool) and str(name) != ""


def outline_polygons(outline: tuple[float, ...], *, height: int, width: int) -> list[list[float]]:
    """COCO's polygons, in pixels, of an outline in shares of the image's width and height."""
    pixels = np.reshape(outline, (-1, 2)) * (width, height)
    return [pixels.flatten().tolist()]
