"""Rows of a Hugging Face data set as samples."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset, IterableDataset
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # its client's own, by version

from adapt.datamodules.objects import label_map_objects, large_objects, refuse_other_size
from adapt.datamodules.source import Case
from adapt.errors import DataError
from adapt.formats import decode_image, decode_label_map, rasterise
from adapt.recipe import HubData
from adapt.samples import Sample

TRIAL = 20
"""So many rows of a stream, all unusable from the first, end it: then it is the settings that are wrong."""


@dataclass(frozen=True, eq=False)
class HubRows:
    """Rows of a split.

    Attributes:
        table: the rows, in Arrow's format.
        first: number of the first one in its split.
        split: name.
        place: of the data set: Hub id, or path.
        folder: that holds a local data set.
        category_names: what the numbers of the category column stand for; empty if it has texts.
    """

    table: Dataset | IterableDataset
    first: int
    split: str
    place: str
    folder: Path | None
    category_names: tuple[str, ...]

    def part(self, start: int, stop: int) -> "HubRows":
        """Rows `start` to `stop` - 1 of these."""
        return replace(self, table=self.table.select(range(start, stop)), first=self.first + start)


def feature_of(path: str, features: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any feature of the library
    """The feature of a column, or of a field inside one such as objects.mask; None if there is none."""
    if path in features:
        return features[path]
    found: Any = features
    for name in path.split("."):
        found = getattr(found, "feature", found)  # of a list: what it holds
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def value_of(path: str, row: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever the row holds
    """The value of a column, or of a field inside one; a list of values where the column is a list."""
    if path in row:
        return row[path]
    found: Any = row
    for name in path.split("."):
        if found is None:
            return None
        found = [entry[name] for entry in found] if isinstance(found, list) else found[name]
    return found


def read_rows(rows: HubRows, *, settings: HubData) -> Case:
    """The samples of a range of rows; a row that cannot be used is an error of its own.

    Raises:
        DataError: while the samples are read: the data cannot be reached, or none of the first rows can be used.
    """
    case = Case(samples=())
    case.samples = _samples(rows, settings, case)
    return case


def _samples(rows: HubRows, settings: HubData, case: Case) -> Iterator[Sample]:
    ids: set[str] = set()
    for number, row in _numbered(rows):
        source = f"{rows.place} {rows.split} row {number}"
        try:
            sample = _sample(row, number, rows, settings, case, source)
            if sample is not None and sample.sample_id in ids:
                raise DataError(f"{source}: data.id_column gives {sample.sample_id!r} a second time")
        except DataError as error:
            case.errors.append(str(error))
            if isinstance(rows.table, IterableDataset) and len(case.errors) == TRIAL == number + 1:
                first = "; ".join(case.errors[:3])
                raise DataError(f"none of the first {TRIAL} rows can be used; the rest is not read: {first}") from None
            continue
        if sample is not None:
            ids.add(sample.sample_id)
            yield sample


def _numbered(rows: HubRows) -> Iterator[tuple[int, dict[str, Any]]]:
    number = rows.first
    try:
        for table in rows.table:
            yield number, table.to_pylist()[0]
            number += 1
    except (OSError, HTTPError, pa.ArrowException, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"{rows.place} {rows.split}: cannot be read from row {number} on ({error})") from None


def _sample(
    row: Mapping[str, Any], number: int, rows: HubRows, settings: HubData, case: Case, source: str
) -> Sample | None:
    """The sample of a row, or None without an object that is large enough; counts what is left out in `case`."""
    content = _content(value_of(settings.image_column, row), rows, f"{source}, {settings.image_column}")
    image = decode_image(content, source=source, max_pixels=settings.max_image_pixels)
    masks, categories, small = _objects(row, image.shape[:2], rows, settings, source)
    case.small_objects += small
    if not len(masks):
        case.empty_images += 1
        return None
    name = f"{number:08d}" if settings.id_column is None else _text(row, settings.id_column, source)
    sample_id = f"{rows.split}/{name}"
    return Sample(
        image=image,
        masks=masks,
        categories=categories,
        group=sample_id if settings.group_column is None else _text(row, settings.group_column, source),
        spacing=(1.0, 1.0),
        spacing_unit="px",
        sample_id=sample_id,
        source=source,
    )


def _text(row: Mapping[str, Any], column: str, source: str) -> str:
    value = value_of(column, row)
    if not isinstance(value, str | int) or value == "":
        raise DataError(f"{source}: {column} is {value!r}, no name; fill it in, or choose another column")
    return str(value)


def _objects(
    row: Mapping[str, Any], size: tuple[int, ...], rows: HubRows, settings: HubData, source: str
) -> tuple[npt.NDArray[np.bool_], tuple[str, ...], int]:
    """Masks (N, H, W), categories and the number of small objects of a row, whatever the mask column holds."""
    value = value_of(settings.mask_column, row)
    given = None if settings.category_column is None else value_of(settings.category_column, row)
    place = f"{source}, {settings.mask_column}"
    if value is None:
        value = []
    if not isinstance(value, list):
        labels = _label_map(value, size, rows, settings, place)
        least = settings.min_object_pixels
        masks, categories, small = label_map_objects(labels, settings, min_pixels=least, source=place)
        if settings.category_column is not None:
            categories = (_category(given, rows, settings, source),) * len(masks)
        return masks, categories, small
    if settings.label_kind == "classes":
        raise DataError(f"{place}: holds a list of objects; data.label_kind=classes reads a label map")
    masks = np.empty((len(value), *size), dtype=bool)
    for index, (mask, entry) in enumerate(zip(masks, value, strict=True)):
        mask[:] = _mask(entry, size, rows, settings, f"{place}[{index}]")
    names = given if isinstance(given, list) else [given] * len(value)
    if settings.category_column is None:
        categories = (settings.category,) * len(value)
    elif len(names) != len(value):
        raise DataError(f"{source}: {len(value)} masks but {len(names)} values in {settings.category_column}")
    else:
        categories = tuple(_category(name, rows, settings, source) for name in names)
    return large_objects(masks, categories, min_pixels=settings.min_object_pixels)


def _mask(
    entry: Any,  # noqa: ANN401 - whatever the row holds
    size: tuple[int, ...],
    rows: HubRows,
    settings: HubData,
    place: str,
) -> npt.NDArray[np.bool_]:
    """The (H, W) mask of one object: an image of which any value above 0 counts, COCO polygons, or COCO RLE."""
    if isinstance(entry, bytes) or (isinstance(entry, dict) and "counts" not in entry):
        return _label_map(entry, size, rows, settings, place) > 0
    if isinstance(entry, list) and entry and not isinstance(entry[0], list):
        entry = [entry]  # one polygon, without the list of polygons around it
    try:
        return rasterise(entry, height=size[0], width=size[1])
    except (ValueError, TypeError) as error:
        raise DataError(f"{place}: cannot be drawn: {error}") from None


def _label_map(
    value: Any,  # noqa: ANN401 - whatever the row holds
    size: tuple[int, ...],
    rows: HubRows,
    settings: HubData,
    place: str,
) -> npt.NDArray[np.integer]:
    content = _content(value, rows, place)
    labels = decode_label_map(content, source=place, max_pixels=settings.max_image_pixels)
    refuse_other_size(labels.shape, size, source=place)
    return labels


def _category(value: Any, rows: HubRows, settings: HubData, source: str) -> str:  # noqa: ANN401
    names = rows.category_names
    if isinstance(value, int) and names and 0 <= value < len(names):
        return names[value]
    if isinstance(value, str | int) and not names and value != "":
        return str(value)
    raise DataError(f"{source}: {settings.category_column} has {value!r}, no category")


def _content(value: Any, rows: HubRows, place: str) -> bytes:  # noqa: ANN401 - whatever the row holds
    """The bytes of an image file: from the row, or of a file that belongs to the data set."""
    if isinstance(value, bytes):
        return value
    path = value
    if isinstance(value, dict):
        if value.get("bytes"):
            return bytes(value["bytes"])
        path = value.get("path")
    if not isinstance(path, str) or not path:
        raise DataError(f"{place}: holds no image; choose another column, or remove the row")
    if rows.folder is not None and "://" not in path:
        path = os.path.join(rows.folder, path)
    if not _belongs(path, rows):
        raise DataError(f"{place}: names the file {path}, which is not of the data set, so it is not read")
    try:
        with fsspec.open(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError, KeyError, HTTPError) as error:
        raise DataError(f"{place}: {path} cannot be read ({error})") from None
    return content


def _belongs(path: str, rows: HubRows) -> bool:
    """Whether a file is of the data set: else a row could have any file of this machine, or any address, read."""
    file = path.rsplit("::", 1)[-1]  # an archive, when the path leads into one
    if "://" in file:
        return rows.folder is None and file.startswith(f"hf://datasets/{rows.place}@")
    places = [datasets.config.HF_DATASETS_CACHE, HF_HUB_CACHE] if rows.folder is None else [rows.folder]
    return any(Path(os.path.abspath(file)).is_relative_to(os.path.abspath(place)) for place in places)
