"""The folder of a run: begun, or made ready to go on with."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from adapt.datamodules import Splits
from adapt.errors import RunError
from adapt.files import write_text
from adapt.recipe import Recipe, as_yaml
from adapt.runs import (
    ADAPTER,
    MODEL,
    RECIPE,
    SPLITS,
    STAGES,
    TRAINING,
    VERSIONS,
    new_run_folder,
    versions,
)


def begin_folder(output: Path, name: str, recipe: Recipe, splits: Splits) -> Path:
    """A new folder below `output/name` with all that is needed to run the same again.

    The recipe comes last: what has one is a run that can be resumed, whenever this is killed.
    """
    folder = new_run_folder(output, name)
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    write_text(folder / RECIPE, as_yaml(recipe))
    return folder


def go_on(folder: Path, recipe: Recipe, splits: Splits) -> None:
    """Make a run's folder ready to go on with.

    Raises:
        RunError: the data are split differently now.
    """
    saved = read_splits(folder)
    for part in ("train", "validation", "test"):
        if set(getattr(saved, part)) != set(getattr(splits, part)):
            raise RunError(
                f"{folder / SPLITS}: the data have changed since this run began, the {part} groups are others; put "
                "them back, or fit again"
            )
    write_text(folder / RECIPE, as_yaml(recipe))  # tracking and evaluation may be other than before
    for place in (folder, *(folder / STAGES).glob("*")):
        if not (place / TRAINING).is_file():
            for kept in (MODEL, ADAPTER):  # of a training that somebody has stopped in the middle
                shutil.rmtree(place / kept, ignore_errors=True)


def read_splits(run_folder: Path) -> Splits:
    """The groups of a run.

    Raises:
        RunError: its file cannot be read.
    """
    try:
        content = json.loads((run_folder / SPLITS).read_text(encoding="utf-8"))
        return Splits(**{name: tuple(groups) for name, groups in content.items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run_folder / SPLITS} cannot be read ({error}); it tells which groups were trained on"
        ) from None
