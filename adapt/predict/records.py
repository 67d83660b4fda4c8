"""What is known of each finished input: a record beside the masks, by which a killed run goes on."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import xxhash
from scipy import ndimage

from adapt.errors import RunError
from adapt.files import write_text
from adapt.predict.inputs import Input
from adapt.predict.opened import Opened
from adapt.predict.prompted import PromptedObject
from adapt.predict.segmenting import Segmentation
from adapt.segmenters import PromptableSegmenter
from adapt.unwritable import unwritable

VERSION = 1
"""Raise it when what is written changes; older results are then made anew."""
ABOUT, RECORDS, OVERVIEW, WORK, COCO = "predict.json", "records", "overview", "work", "coco.json"


def weights_key(segmenter: PromptableSegmenter) -> str:
    """A hash of all weights and of the size of the input, 32 hexadecimal digits."""
    key = xxhash.xxh3_128(repr(segmenter.spec).encode())
    for name, parameter in sorted(segmenter.named_parameters()):
        key.update(f"{name} {tuple(parameter.shape)} {parameter.dtype};".encode())
        key.update(parameter.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    digits: str = key.hexdigest()
    return digits


def input_key(one: Input, wanted: Sequence[PromptedObject] | None, settings: Mapping[str, Any]) -> str:
    """A hash of an input's files (path, size, time of change), its prompts, and the model and settings."""
    stamps = []
    for path in one.files:
        facts = path.stat()
        stamps.append([str(path.resolve()), facts.st_size, facts.st_mtime_ns])
    prompts = None if wanted is None else [{**asdict(prompt), "place": ""} for prompt in wanted]
    facts_of_all = {"version": VERSION, "files": stamps, "prompts": prompts, **settings}
    return hashlib.sha256(json.dumps(facts_of_all, sort_keys=True).encode()).hexdigest()


def claim_output(output: Path) -> None:
    """Make the output folder ready, or check that it is one.

    Raises:
        RunError: it holds files of others, or cannot be written.
    """
    try:
        if output.is_dir() and not (output / ABOUT).is_file() and any(output.iterdir()):
            raise RunError(
                f"{output}: holds files that adapt predict has not written; give --output a new or an empty folder"
            )
        for folder in (output, output / RECORDS, output / WORK):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(unwritable(output, error, "or give --output another folder")) from None


def read_record(output: Path, name: str) -> dict[str, Any]:
    """The record of an input; empty if there is none that can be read."""
    try:
        content = json.loads((output / RECORDS / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_done(record: Mapping[str, Any], key: str, output: Path) -> bool:
    """Whether an input has been finished with the same pixels, prompts, model and settings, and all files are there."""
    if record.get("key") != key:
        return False
    files: Mapping[str, int] = record["files"]
    return all((output / name).is_file() and (output / name).stat().st_size == size for name, size in files.items())


def write_record(
    output: Path, name: str, *, key: str, about: Mapping[str, Any], files: Sequence[Path], objects: Sequence[Any]
) -> None:
    """Say that an input is finished: the last thing that is written of it."""
    sizes = {str(path.relative_to(output)): path.stat().st_size for path in files}
    head = json.dumps({"key": key, **about, "files": sizes}, indent=1).removesuffix("\n}")
    rows = ",\n".join(f"  {json.dumps(row)}" for row in objects)  # a line each: there may be thousands
    write_text(output / RECORDS / f"{name}.json", f'{head},\n "objects": [\n{rows}\n ]\n}}\n')


def object_rows(opened: Opened, found: Segmentation, *, category: str) -> list[dict[str, Any]]:
    """What the record says of each object: where it lies, its size, its score and its prompt.

    Pixels and box (XYXY, image frame) are those in the label map, where each pixel has one owner; 0 pixels for an
    object of which nothing was found, or nothing is left.
    """
    pixels = dict.fromkeys((one.number for one in found.objects), 0)
    boxes: dict[int, list[int]] = {}
    seen: dict[int, list[int]] = {}
    for index in range(opened.slices):
        for top, labels in found.strips(index):
            for number, where in enumerate(ndimage.find_objects(labels), start=1):
                if where is None:
                    continue
                rows, columns = where
                pixels[number] += int((labels[where] == number).sum())
                here = [columns.start, rows.start + top, columns.stop - 1, rows.stop - 1 + top]
                box = boxes.get(number, here)
                boxes[number] = [min(a, b) for a, b in zip(box[:2], here[:2], strict=True)]
                boxes[number] += [max(a, b) for a, b in zip(box[2:], here[2:], strict=True)]
                seen.setdefault(number, []).append(index)
    return [
        {
            "object": one.number,
            "category": one.category or category,
            "predicted_iou": None if math.isnan(one.predicted_iou) else round(one.predicted_iou, 4),
            "pixels": pixels[one.number],
            "box": boxes.get(one.number),
            **_places(opened, one.slice, seen.get(one.number, [])),
            **({"ended": list(found.ended.get(one.number, ()))} if found.ended else {}),
            "prompt": dict(one.prompt),
        }
        for one in found.objects
    ]


def _places(opened: Opened, asked: int | None, seen: Sequence[int]) -> dict[str, Any]:
    """Slice and frame where an object was prompted or found, and the first and last of each that it lies in."""
    there = [opened.place_of(index) for index in seen]
    found: dict[str, Any] = {}
    for name in opened.place_of(0):
        found[name] = None if asked is None else opened.place_of(asked)[name]
        ends = [place[name] for place in there]
        found[f"{name}s"] = [min(ends), max(ends)] if ends else None
    return found
