"""From the command line to a prediction: which model, how its inputs are read, and what is said at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from adapt.build import make_segmenter, pick_device
from adapt.datamodules.generated import GENERATED, PREFIX, generated_folder
from adapt.errors import RunError
from adapt.jobs.named import for_checkpoint, run_of
from adapt.jobs.text_doors import box_door, concept_door, token_door
from adapt.jobs.tuned import load_tuned, phrase_reader
from adapt.predict import Model, NamingModel, Request, predict, usual_recipe, weights_key
from adapt.recipe import Recipe, TextTokenTuning, find_recipe, load_recipe
from adapt.runs import RECIPE
from adapt.segmenters import PromptableSegmenter
from adapt.text import PhraseReader, has_concepts, load_concepts

OF_GENERATED = {"medical": "quickstart", "satellite": "satellite_buildings", "microscopy": "microscopy_nuclei"}
"""Kind of generated data to the recipe that reads it; others are pictures."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and how it is used.

    Attributes:
        segmenter: on its device, in eval mode.
        recipe: how inputs are read and prompted.
        source: the input.
        about: what the records say of it.
        tuning: of a run that has learnt to read texts; None for all others.
        reader: of phrases, of a run that has learnt concepts; None for all others.
    """

    segmenter: PromptableSegmenter
    device: torch.device
    recipe: Recipe
    source: Path
    about: dict[str, Any]
    tuning: TextTokenTuning | None = None
    reader: PhraseReader | None = None


def predict_with(model: str, request: Request, *, recipe_name: str | None, overrides: list[str]) -> None:
    """Segment a request's inputs with a run's tuned model, or with a stock checkpoint.

    Args:
        model: folder of a run, folder or Hub id of a checkpoint, or adapt:tiny.
        request: what is to be done.
        recipe_name: how inputs are read; None for the run's own recipe, or for a checkpoint one that fits the input.
        overrides: of the recipe, as key=value.
    """
    console = Console(stderr=True)
    if request.text and run_of(model) is None and has_concepts(model, revision=None):
        recipe, source = _reading(model, request.source, recipe_name=recipe_name, overrides=overrides)
        about: dict[str, Any] = {"checkpoint": model}
        device = pick_device(recipe)
        finder = load_concepts(model, revision=recipe.model.revision).to(device)
        reader = PhraseReader(model, revision=recipe.model.revision)
        text = concept_door(finder, reader, recipe.text, version=reader.version)(request.text)
        asked: Model | NamingModel = NamingModel(finder, device, text, recipe.generate, recipe.predict)
    else:
        loaded = load_model(model, request.source, recipe_name=recipe_name, overrides=overrides)
        recipe, source, about = loaded.recipe, loaded.source, loaded.about
        asked = _asked(loaded, request.text)
    request = replace(request, source=source)
    tally = predict(request, asked, recipe.data, about={"model": about}, console=console)
    print(f"{tally}: {request.output}")


def _asked(loaded: Loaded, phrases: Sequence[str]) -> Model | NamingModel:
    """The model, and with phrases the way in which it finds what they name: as it has learnt, or by a detector."""
    recipe, segmenter, device = loaded.recipe, loaded.segmenter, loaded.device
    if loaded.reader is not None:
        if not phrases:
            raise RunError("this run has learnt concepts (concepts.learn) and is asked by phrases: give --text PHRASE")
        version = loaded.about["weights"]
        text = concept_door(segmenter, loaded.reader, recipe.text, version=version)(phrases)
        return NamingModel(segmenter, device, text, recipe.generate, recipe.predict)
    if phrases and loaded.tuning is not None:
        text = token_door(segmenter, loaded.tuning, device=device)(phrases)
        return NamingModel(segmenter, device, text, recipe.generate, recipe.predict)
    boxes = box_door(recipe.text, device=device)(phrases) if phrases else None
    return Model(segmenter, device, recipe.generate, recipe.predict, text=boxes)


def load_model(model: str, source: Path, *, recipe_name: str | None, overrides: list[str]) -> Loaded:
    """The model of a run, or a checkpoint, and the recipe that inputs are read with.

    Raises:
        RunError: a folder that is neither a run nor a checkpoint, or a run that has kept no model.
        CheckpointError: the weights cannot be read.
        RecipeError: the recipe, or an override, is not valid.
    """
    folder, tuning, reader = run_of(model), None, None
    if folder is not None:
        recipe = load_recipe(folder / RECIPE if recipe_name is None else find_recipe(recipe_name), overrides)
        of_run = recipe if recipe_name is None else load_recipe(folder / RECIPE)
        segmenter = load_tuned(of_run, folder)
        tuning = of_run.tuning if isinstance(of_run.tuning, TextTokenTuning) else None
        reader = phrase_reader(of_run, folder) if of_run.concepts.learn else None
        about: dict[str, Any] = {"run": str(folder.resolve()), "checkpoint": recipe.model.checkpoint}
    else:
        recipe, source = _reading(model, source, recipe_name=recipe_name, overrides=overrides)
        segmenter = make_segmenter(recipe)
        about = {"checkpoint": model}
    if folder is not None and str(source).startswith(PREFIX):
        source = _generated_images(source, recipe)
    device = pick_device(recipe)
    segmenter.to(device).eval()
    about |= {"revision": segmenter.commit, "weights": weights_key(segmenter)}
    return Loaded(segmenter, device, recipe, source, about, tuning, reader)


def _reading(model: str, source: Path, *, recipe_name: str | None, overrides: list[str]) -> tuple[Recipe, Path]:
    """The recipe that an input is read with for a checkpoint, which it names, and the input's files."""
    recipe = for_checkpoint(load_recipe(find_recipe(recipe_name or _usual_recipe(source)), overrides), model)
    return recipe, _generated_images(source, recipe) if str(source).startswith(PREFIX) else source


def _usual_recipe(source: Path) -> str:
    """Name of the recipe that reads an input, for a checkpoint that has none."""
    if not str(source).startswith(PREFIX):
        return usual_recipe(source)
    data = GENERATED.get(str(source))
    return "folder" if data is None else OF_GENERATED.get(data.kind, "folder")


def _generated_images(source: Path, recipe: Recipe) -> Path:
    """The images of a generated data set."""
    data = GENERATED.get(str(source))
    kind = recipe.data.kind if data is None else data.kind
    return generated_folder(str(source), kind=kind, cache=Path(recipe.cache).expanduser()) / "images"
