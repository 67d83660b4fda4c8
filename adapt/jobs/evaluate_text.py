"""`evaluate --text`: each test image is prompted with the names of its categories; beside it, with the true boxes."""

from pathlib import Path

from adapt.build import make_segmenter, make_store, pick_device
from adapt.datamodules.classes import categories_of
from adapt.evaluate import print_text_results, write_text_results
from adapt.jobs.console import make_console
from adapt.jobs.run_folder import begin_folder
from adapt.jobs.tested_groups import tested_groups
from adapt.jobs.text_ways import TUNED, UNTOUCHED, Ways, asked_by_text, text_facts
from adapt.jobs.tuned import check_prompted, check_trained, load_tuned
from adapt.recipe import LabelSettings, Recipe
from adapt.runs import check_writable
from adapt.terminal import Terminal


def evaluate_text(recipe: Recipe, *, name: str, run_folder: Path | None) -> None:
    """Score the masks that categories' names find in the test images; the table goes to stdout.

    Args:
        recipe: of the run, or any.
        name: of the recipe.
        run_folder: of the run, whose model is compared with the untouched one; None for the untouched one alone.
    """
    console = make_console()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    recipe = recipe.model_copy(update={"label": LabelSettings()})  # only what people have labelled is scored on
    models = {UNTOUCHED: make_segmenter(recipe)}
    if run_folder is not None:
        check_trained(run_folder)
        if not recipe.concepts.learn:
            check_prompted(recipe, "--text")
        models[TUNED] = load_tuned(recipe, run_folder)
    for model in models.values():
        model.to(device).eval()
    store = make_store(recipe, console)
    splits = tested_groups(recipe, store, run_folder)
    rows = [row for row, group in enumerate(store.groups) if group in set(splits.test)]
    names = categories_of(store, splits.test)
    ways = Ways(recipe, models, device=device, learnt=run_folder is not None, categories=names)
    folder = begin_folder(output, f"{name}/untouched" if run_folder is None else "evaluations", recipe, splits)
    results = asked_by_text(recipe, ways, store, rows, console=console)
    write_text_results(results, folder, facts=text_facts(recipe, name, ways, test_groups=splits.test, categories=names))
    print_text_results(results, Terminal())
    console.print(f"written to {folder}", highlight=False, markup=False, soft_wrap=True)
