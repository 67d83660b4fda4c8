"""The file that people work on, in the format of their program."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from adapt.datamodules.labelled import MAX_PIXELS
from adapt.errors import NO_FILE, DataError
from adapt.formats.coco_review import read_coco_review, write_coco_review
from adapt.formats.cvat import read_cvat, write_cvat
from adapt.formats.label_studio import read_label_studio, write_label_studio
from adapt.formats.review import ReviewImage

ReviewFormat = Literal["coco", "label_studio", "cvat"]
REVIEW_FORMATS: tuple[ReviewFormat, ...] = get_args(ReviewFormat)
FILES: dict[ReviewFormat, str] = {"coco": "review.json", "label_studio": "review_tasks.json", "cvat": "review.xml"}


def write_review(folder: Path, images: Sequence[ReviewImage], form: ReviewFormat, *, address: str, model: str) -> Path:
    """Write the file of a format into a folder, and return its path.

    Args:
        folder: receives it.
        images: with their masks.
        form: of the program.
        address: for Label Studio, see `write_label_studio`.
        model: likewise.
    """
    path = folder / FILES[form]
    match form:
        case "coco":
            write_coco_review(path, images)
        case "label_studio":
            write_label_studio(path, images, address=address, model=model)
        case "cvat":
            write_cvat(path, images)
    return path


def read_review(path: Path) -> list[ReviewImage]:
    """What people have made of it; the format is told by what the file begins with.

    Raises:
        DataError: missing, or of none of the formats.
    """
    try:
        with path.open("rb") as file:
            start = file.read(1_000).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    except FileNotFoundError:
        raise DataError(f"{path}: {NO_FILE}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    match start:
        case b"{":
            return read_coco_review(path, max_pixels=MAX_PIXELS)
        case b"[":
            return read_label_studio(path, max_pixels=MAX_PIXELS)
        case b"<":
            return read_cvat(path, max_pixels=MAX_PIXELS)
    raise DataError(
        f"{path}: neither COCO JSON, nor an export of Label Studio (JSON) or of CVAT (CVAT for images 1.1, XML); "
        "unpack it if it is a .zip"
    )
