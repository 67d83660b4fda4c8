"""What is to be predicted, and the prompts that its file has for each input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapt.errors import DataError
from adapt.predict.inputs import Input, prompts_by_input
from adapt.predict.outputs import COCO as COCO_FORMAT
from adapt.predict.prompt_files import read_prompts
from adapt.predict.prompted import PromptedObject

VECTOR_PROMPTS = (".geojson", ".gpkg")


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        source: the input: a file, or a folder of them.
        output: folder that receives masks and records.
        prompts: file of prompts; None for automatic masks.
        formats: names of `ENDINGS`; empty for the format of the input's domain.
        follow: objects that are prompted on one slice are followed through the others.
        overview: a small picture of each input is drawn as well.
        names: COCO file that says what the numbers of images and categories in `prompts` stand for; None if they do.
        text: phrases whose objects are looked for. Empty: none.
    """

    source: Path
    output: Path
    prompts: Path | None
    formats: tuple[str, ...]
    follow: bool
    overview: bool
    text: tuple[str, ...] = ()
    names: Path | None = None


def check_unprompted(request: Request) -> None:
    """Refuse what is not for a model that answers by classes.

    Raises:
        DataError: prompts are given, or a format that holds objects.
    """
    if request.prompts is not None or request.follow or request.text:
        raise DataError(
            "this model answers by classes and takes no prompts; leave out --prompts, --propagate and --text"
        )
    if COCO_FORMAT in request.formats:
        raise DataError("a label map of classes has no objects for COCO; leave out --format, or write --format tiff")


def prompts_of(request: Request, inputs: Sequence[Input]) -> Mapping[str, Sequence[PromptedObject]] | None:
    """Prompts of each input that has some; None without a file of prompts."""
    if request.prompts is None:
        if request.follow:
            raise DataError("--propagate follows objects that are prompted on one slice; give --prompts FILE")
        return None
    if request.prompts.suffix.lower() in VECTOR_PROMPTS:
        from adapt.predict.prompt_vectors import read_ground_prompts  # needs an extra

        return read_ground_prompts(request.prompts, inputs)
    return prompts_by_input(read_prompts(request.prompts, names=request.names), inputs, source=request.prompts)
