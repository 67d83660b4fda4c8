"""Prompts from files: JSON of our own, CSV, and a detector's boxes in COCO JSON. Read and checked whole."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from adapt.errors import DataError
from adapt.predict.prompted import BoxXYXY, Click, PromptedObject
from adapt.recipe.settings import Settings
from adapt.wording import listed

BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max")
COLUMNS = ("image", "slice", "frame", "object", "category", "score", "x", "y", "label", *BOX_COLUMNS)
MAX_BYTES = 500_000_000
"""A file of a million boxes is a tenth of this."""


@dataclass(frozen=True)
class Asked:
    """One object, and the image it is asked of.

    Attributes:
        image: its file name, with or without ending, or COCO's number of it; None for the only image.
        wanted: None for an image in which a detector has found nothing.
    """

    image: str | int | None
    wanted: PromptedObject | None


class _Entry(Settings):
    """One object of our JSON."""

    image: str | None = None
    slice: int | None = Field(None, ge=0)
    frame: int | None = Field(None, ge=0)
    clicks: tuple[tuple[float, float] | tuple[float, float, Literal[0, 1]], ...] = ()
    box: tuple[float, float, float, float] | None = None
    category: str = ""
    object: str = ""


class _Detection(Settings, extra="ignore"):
    """One box of a COCO results file, or one annotation of a COCO instances file."""

    image_id: int | str
    category_id: int | str = ""
    bbox: tuple[float, float, Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    score: float | None = None


_ENTRIES, _DETECTIONS = TypeAdapter(list[_Entry]), TypeAdapter(list[_Detection])


@dataclass(frozen=True)
class Names:
    """What COCO's numbers stand for.

    Attributes:
        images: number to file name.
        categories: number to name.
    """

    images: Mapping[int | str, str]
    categories: Mapping[int | str, str]


NO_NAMES = Names({}, {})


def read_prompts(path: Path, *, names: Path | None = None) -> list[Asked]:
    """The objects that a `.json` or `.csv` file asks for, in its order, and then images in which there are none.

    Args:
        path: of the file.
        names: a COCO file whose images and categories a detector's list of boxes numbers.

    Raises:
        DataError: missing, unreadable, or with entries that are no prompts; the first are named with their place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES:,} bytes; split the prompts into several files")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; --prompts takes JSON, CSV, GeoJSON or GeoPackage") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a UTF-8 text ({error})") from None
    known = NO_NAMES if names is None else _names_of(names)
    found = list(_csv_objects(text, path) if path.suffix.lower() == ".csv" else _json_objects(text, path, known))
    if not any(one.wanted for one in found):
        raise DataError(f"{path}: holds no prompt; leave out --prompts to find all objects")
    return found


def _names_of(path: Path) -> Names:
    try:
        return _named(json.loads(path.read_text(encoding="utf-8-sig")), path)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable COCO file ({error})") from None


def _json_objects(text: str, path: Path, names: Names) -> Iterator[Asked]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if isinstance(content, dict) and "annotations" in content:
        yield from _boxes(content["annotations"], _named(content, path), path, "annotation")
    elif isinstance(content, list) and any(isinstance(entry, dict) and "bbox" in entry for entry in content):
        yield from _boxes(content, names, path, "box")
    elif isinstance(content, list):
        for number, entry in enumerate(_validated(_ENTRIES, text, path), 1):
            clicks: tuple[Click, ...] = tuple((x, y, label[0] if label else 1) for x, y, *label in entry.clicks)
            place = f"{path}: object {number}"
            _refuse_not_finite([*(value for click in clicks for value in click), *(entry.box or ())], place)
            of_slice, frame = _ordered(entry.slice, entry.frame)
            wanted = PromptedObject(
                clicks, entry.box, entry.category, None, of_slice, entry.object, place=place, frame=frame
            )
            yield Asked(entry.image, wanted)
    else:
        raise DataError(
            f'{path}: neither a list of objects such as {{"image": "a.png", "clicks": [[12, 34]]}}, nor COCO boxes'
        )


def _ordered(of_slice: int | None, frame: int | None) -> tuple[int | None, int | None]:
    """Slice and frame; a frame alone is the place in a time series, as a slice alone is in a volume."""
    return (frame, None) if of_slice is None else (of_slice, frame)


def _checked(content: object, path: Path) -> Iterator[tuple[int, _Detection]]:
    yield from enumerate(_validated(_DETECTIONS, json.dumps(content), path), 1)


def _validated(adapter: TypeAdapter[Any], text: str, path: Path) -> list[Any]:
    try:
        found: list[Any] = adapter.validate_json(text)
    except ValidationError as error:
        faults = [
            f"entry {int(str(fault['loc'][0])) + 1}: {'.'.join(map(str, fault['loc'][1:2]))}: {fault['msg'].lower()}"
            for fault in error.errors()
        ]
        raise DataError(f"{path}: {listed(list(dict.fromkeys(faults)))}") from None
    return found


def _named(content: Any, path: Path) -> Names:  # noqa: ANN401 - whatever JSON holds
    try:
        return Names(
            images={entry["id"]: str(entry["file_name"]) for entry in content["images"]},
            categories={entry["id"]: str(entry["name"]) for entry in content.get("categories", [])},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: its COCO images or categories cannot be read ({error!r})") from None


def _boxes(content: object, names: Names, path: Path, what: str) -> Iterator[Asked]:
    """Boxes of images; and those of the named images that have none."""
    empty = dict.fromkeys(names.images)
    for number, entry in _checked(content, path):
        if names is not NO_NAMES and entry.image_id not in names.images:
            raise DataError(f"{path}: {what} {number}: no image {entry.image_id}")
        empty.pop(entry.image_id, None)
        yield _detected(entry, names, f"{path}: {what} {number}")
    yield from (Asked(names.images[image], None) for image in empty)


def _detected(entry: _Detection, names: Names, place: str) -> Asked:
    """COCO's box begins at the side of its first pixel; ours names the centres of the first and the last."""
    left, top, width, height = entry.bbox
    _refuse_not_finite(entry.bbox, place)
    box: BoxXYXY = (left, top, max(left + width - 1, left), max(top + height - 1, top))
    category = names.categories.get(entry.category_id, str(entry.category_id))
    wanted = PromptedObject((), box, category, entry.score, place=place)
    return Asked(names.images.get(entry.image_id, entry.image_id), wanted)


def _csv_objects(text: str, path: Path) -> Iterator[Asked]:
    """Rows with the same image, slice, frame and object are one object; a row that names none is one of its own."""
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    unknown = sorted(set(names) - set(COLUMNS))
    if unknown or not ({"x", "y"} <= set(names) or set(BOX_COLUMNS) <= set(names)):
        raise DataError(
            f"{path}: columns are {', '.join(names) or 'none'}; needed are x and y, or {', '.join(BOX_COLUMNS)}; "
            f"and there may be {', '.join(name for name in COLUMNS if name not in ('x', 'y', *BOX_COLUMNS))}"
        )
    groups: dict[tuple[object, ...], list[tuple[int, dict[str, str]]]] = {}
    for row in reader:
        line = reader.line_num
        if None in row or None in row.values():
            raise DataError(f"{path}:{line}: has not as many values as the header has names ({len(names)})")
        values = {name: value.strip() for name, value in row.items()}
        own = values.get("object") or f"line {line}"
        groups.setdefault((*(values.get(name) for name in ("image", "slice", "frame")), own), []).append((line, values))
    for rows in groups.values():
        yield _csv_object(rows, path)


def _csv_object(rows: Sequence[tuple[int, dict[str, str]]], path: Path) -> Asked:
    clicks: list[Click] = []
    boxes: list[BoxXYXY] = []
    place = f"{path}:{rows[0][0]}"
    for line, row in rows:
        here = f"{path}:{line}"
        if row.get("x") or row.get("y"):
            label = _number(row.get("label") or "1", "label", here)
            if label not in (0, 1):
                raise DataError(f"{here}: label {label:g} is neither 1 (on the object) nor 0 (beside it)")
            clicks.append((_number(row["x"], "x", here), _number(row["y"], "y", here), int(label)))
        if any(row.get(name) for name in BOX_COLUMNS):
            x0, y0, x1, y1 = (_number(row[name], name, here) for name in BOX_COLUMNS)
            boxes.append((x0, y0, x1, y1))
    if len(boxes) > 1:
        raise DataError(f"{place}: the object has {len(boxes)} boxes; give each object one")
    first = rows[0][1]
    of_slice, frame = _ordered(_place(first, "slice", place), _place(first, "frame", place))
    wanted = PromptedObject(
        clicks=tuple(clicks),
        box=boxes[0] if boxes else None,
        category=first.get("category", ""),
        score=_number(first["score"], "score", place) if first.get("score") else None,
        slice=of_slice,
        name=first.get("object", ""),
        place=place,
        frame=frame,
    )
    return Asked(first.get("image") or None, wanted)


def _place(row: Mapping[str, str], name: str, place: str) -> int | None:
    """The slice or frame that a row names."""
    if not row.get(name):
        return None
    value = _number(row[name], name, place)
    if not value.is_integer():
        raise DataError(f"{place}: {name} {value:g} is no whole number")
    return int(value)


def _number(text: str, name: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{place}: {name} {text!r} is no number") from None
    _refuse_not_finite([value], place)
    return value


def _refuse_not_finite(values: Sequence[float], place: str) -> None:
    if not all(math.isfinite(value) for value in values):
        raise DataError(f"{place}: {listed(list(values))} are not all finite numbers")
