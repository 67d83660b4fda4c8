"""From the command line to a page: which models, which images are offered, and the server."""

from functools import partial
from pathlib import Path

import torch

from adapt import __version__
from adapt.build import make_segmenter, pick_device
from adapt.datamodules.generated import GENERATED, PREFIX, generated_folder
from adapt.demo import Look, Models, Tab, Tabs, inputs_of
from adapt.errors import DataError
from adapt.jobs.console import quiet_libraries
from adapt.jobs.named import for_checkpoint, run_of
from adapt.jobs.tuned import check_prompted, check_trained, load_tuned
from adapt.predict.inputs import Input
from adapt.recipe import DataSettings, Recipe, find_recipe, load_recipe
from adapt.runs import RECIPE
from adapt.segmenters import PromptableSegmenter

UNTOUCHED, TUNED = "untouched", "tuned"
PICTURES = "folder"
"""The recipe that reads plain pictures, which every model is shown, whatever it was tuned on."""


def demo(model: str, *, images: Path | None, recipe_name: str | None, overrides: list[str]) -> None:
    """Serve the page until it is ended.

    Args:
        model: folder of a run, folder or Hub id of a checkpoint, or adapt:tiny.
        images: a file or a folder of images to pick from in the page, or generated ones; None for none.
        recipe_name: how images are read; None for the run's own recipe, or pictures alone.
        overrides: of the recipe, as key=value.

    Raises:
        RunError: the folder is neither a run nor a checkpoint, the run has kept no model, or the port is in use.
        DataError: the extra is not installed, or the images cannot be read.
        CheckpointError: the weights cannot be read.
        RecipeError: the recipe, or an override, is not valid.
    """
    recipe, run_folder = _read(model, recipe_name=recipe_name, overrides=overrides)
    from adapt.demo.page import make_page  # needs an extra, and seconds
    from adapt.demo.server import listen, make_server, private_uploads, run

    quiet_libraries()
    with listen(recipe.demo.port) as listening:
        device = pick_device(recipe)
        models = _models(recipe, run_folder, device)
        readers = (recipe.data, load_recipe(find_recipe(PICTURES)).data)
        offered = [] if images is None else _offered(images, recipe, readers)
        about = {"model": model, "checkpoint": recipe.model.checkpoint, "adapt": __version__}
        look = Look(readers, recipe.demo.shown_pixels)
        tabs = Tabs(lambda: Tab(models, look, about=about), most=recipe.demo.tabs)
        facts = f"{' and '.join(models.segmenters)}, {next(iter(models.segmenters.values())).family} on {device}"
        page = partial(
            make_page,
            tabs,
            models=list(models.segmenters),
            title=f"adapt demo: {_short(model, run_folder)}",
            facts=f"{recipe.model.checkpoint}: {facts}",
            offered=offered,
        )
        with private_uploads():
            server = make_server(page, listening)
            address = "http://{}:{}/".format(*listening.getsockname())
            print(f"{address} shows {', '.join(models.segmenters)} of {model}; Ctrl-C ends it", flush=True)
            run(server, listening)


def _read(model: str, *, recipe_name: str | None, overrides: list[str]) -> tuple[Recipe, Path | None]:
    """The recipe that images are read with, whose `model` is what is shown untouched; and the run's folder."""
    folder = run_of(model)
    if folder is None:
        return for_checkpoint(load_recipe(find_recipe(recipe_name or PICTURES), overrides), model), None
    check_trained(folder)
    recipe = load_recipe(folder / RECIPE if recipe_name is None else find_recipe(recipe_name), overrides)
    own = load_recipe(folder / RECIPE)
    check_prompted(own, "the demo")
    return recipe.model_copy(update={"model": own.model, "tuning": own.tuning}), folder


def _short(model: str, run_folder: Path | None) -> str:
    """What the page is called: of a run, recipe and time."""
    return model if run_folder is None else "/".join(run_folder.resolve().parts[-2:])


def _models(recipe: Recipe, run_folder: Path | None, device: torch.device) -> Models:
    """The untouched model, and beside it the tuned one of a run."""
    segmenters: dict[str, PromptableSegmenter] = {UNTOUCHED: make_segmenter(recipe)}
    if run_folder is not None:
        segmenters[TUNED] = load_tuned(recipe, run_folder)
    for segmenter in segmenters.values():
        segmenter.to(device).eval()
    return Models(segmenters, device, kept=recipe.demo.encoded_images)


def _offered(images: Path, recipe: Recipe, readers: tuple[DataSettings, ...]) -> list[tuple[Input, DataSettings]]:
    """What can be picked in the page, each with the settings that read it."""
    name = str(images)
    if not name.startswith(PREFIX):
        return inputs_of(images.expanduser(), readers)
    if name not in GENERATED:
        raise DataError(f"--images {name}: generated data: {', '.join(GENERATED)}; or give a file or a folder")
    folder = generated_folder(name, kind=GENERATED[name].kind, cache=Path(recipe.cache).expanduser())
    return inputs_of(folder / "images", readers)
