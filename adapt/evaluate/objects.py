"""`objects.csv`: the score of each object under each protocol by each model, to the last bit."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from adapt.errors import ResultsError
from adapt.evaluate.scoring import ObjectScore
from adapt.files import write_text

FILE = "objects.csv"
NOT_WRITTEN = {"mask", "clicks", "box"}
"""Fields that are no figures."""
COLUMNS = ["model", "protocol", "sample_id", "index", "category", "group", "pixels", "iou", "oracle_iou", "dice"]
COLUMNS += ["predicted_iou", "box_iou", "nsd", "hd95", "unit", "answer_pixels", "curve"]
"""Their order; new ones come last."""
TEXTS = {"model", "protocol", "sample_id", "category", "group", "unit"}
INTEGERS = {"index", "pixels", "answer_pixels"}
assert set(COLUMNS) == {field.name for field in fields(ObjectScore)} - NOT_WRITTEN


def write_objects(scores: Sequence[ObjectScore], folder: Path) -> None:
    """Write one row a score; the IoUs of a curve are joined by spaces."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for score in scores:
        row = {name: getattr(score, name) for name in COLUMNS}
        writer.writerow({**row, "curve": " ".join(map(repr, score.curve))}.values())
    write_text(folder / FILE, text.getvalue())


def read_objects(folder: Path) -> list[ObjectScore]:
    """The scores that `write_objects` has written, without masks and prompts.

    Raises:
        ResultsError: there is no such file, it has no row, or not these columns, or a value that does not fit.
    """
    path = folder / FILE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ResultsError(f"{path} has no column {', '.join(missing)}; evaluate the run again to write them")
            scores = [_score(row, path, line) for line, row in enumerate(reader, start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(f"{path} cannot be read ({reason}); give the folder of a run or of an evaluation") from None
    if not scores:
        raise ResultsError(f"{path} has no object; evaluate the run again")
    return scores


def _score(row: dict[str, str | None], path: Path, line: int) -> ObjectScore:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        text = row[name]
        try:
            if text is None:
                raise ValueError("the line is cut short")
            values[name] = _value(name, text)
        except ValueError:
            raise ResultsError(f"{path}, object {line}: {name} is {text!r}; evaluate the run again") from None
    return ObjectScore(**values)


def _value(name: str, text: str) -> str | int | float | tuple[float, ...]:
    if name in TEXTS:
        return text
    if name in INTEGERS:
        return int(text)
    numbers = tuple(map(float, text.split()))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("not finite")
    if name == "curve":
        return numbers
    (number,) = numbers
    return number
