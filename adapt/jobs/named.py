"""What MODEL names on the command line: a run, or a checkpoint that a recipe is read for."""

from pathlib import Path

from adapt.errors import RunError
from adapt.recipe import Recipe
from adapt.runs import RECIPE


def run_of(model: str) -> Path | None:
    """The folder of the run that is named; None for a checkpoint.

    Raises:
        RunError: a folder that is neither.
    """
    folder = Path(model).expanduser()
    if (folder / RECIPE).is_file():
        return folder
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise RunError(
            f"{folder}: neither the folder of a run (it has no {RECIPE}) nor of a checkpoint (no config.json); give "
            "runs/<recipe>/<time>, a checkpoint, or adapt:tiny"
        )
    return None


def for_checkpoint(recipe: Recipe, checkpoint: str) -> Recipe:
    """The recipe with another checkpoint."""
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"checkpoint": checkpoint})})
