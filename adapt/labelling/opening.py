"""Which model draws, and with which thresholds."""

from dataclasses import replace
from pathlib import Path

from adapt.errors import RunError
from adapt.jobs.predict import Loaded, load_model
from adapt.labelling.project import Project
from adapt.recipe import load_recipe
from adapt.runs import RECIPE


def load_for(project: Project, model: str, overrides: list[str]) -> Loaded:
    """The model of a run, or a checkpoint, to draw on the images of a project.

    Images are read as the project's recipe says. The thresholds of generation are those of a run, where they may have
    been fitted, unless an override says otherwise.

    Raises:
        RunError: the model answers by classes.
    """
    loaded = load_model(model, project.unlabelled, recipe_name=str(project.recipe_file), overrides=overrides)
    if loaded.segmenter.classes:
        raise RunError(f"{model} answers by classes; label asks for masks of objects, of a model that is prompted")
    saved = Path(model).expanduser() / RECIPE
    if not saved.is_file():
        return loaded
    own = [override for override in overrides if override.startswith("generate.")]
    recipe = loaded.recipe.model_copy(update={"generate": load_recipe(saved, own).generate})
    return replace(loaded, recipe=recipe)
