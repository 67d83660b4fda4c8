"""Which run to go on with, and what of its recipe may be another."""

from pathlib import Path
from typing import Final

from adapt.errors import AdaptError, RecipeError, RunError
from adapt.recipe import Recipe, load_recipe
from adapt.runs import RECIPE, REPORT, SPLITS

AUTO: Final = "auto"
"""In the place of a run: the newest one that has not finished."""
HARMLESS = (
    "description",
    "output",
    "cache",
    "tracking",
    "wandb",
    "evaluation",
    "hub",
    "demo",
    "features.limit_gb",
    "trainer.workers",
    "trainer.checkpoint_minutes",
    "trainer.loader_timeout",
    "trainer.process_timeout",
    "trainer.on_bad_loss",
    "trainer.loss_spike",
    "trainer.on_loss_spike",
)
"""Sections and keys that may change when a run goes on: what was trained so far stays what it is."""
RETENTION = "evaluation.retention"


def recipe_of_run(run_folder: Path, overrides: list[str]) -> tuple[str, Recipe]:
    """Name and recipe of a run that was stopped, with overrides applied.

    Raises:
        RunError: it is no run, or has finished.
        RecipeError: an override is wrong, or would change what is trained.
    """
    saved = run_folder / RECIPE
    for needed in (RECIPE, SPLITS):
        if not (run_folder / needed).is_file():
            raise RunError(f"{run_folder} is not the folder of a run: it has no {needed}. Give runs/<recipe>/<time>")
    if (run_folder / REPORT).is_file():
        raise RunError(f"{run_folder} has finished: see {REPORT}; to evaluate it again: adapt evaluate {run_folder}")
    recipe = load_recipe(saved, overrides)
    changed = changed_keys(load_recipe(saved), recipe)
    if changed:
        raise RecipeError(
            f"{', '.join(changed)} would change what {run_folder} trains, so the run cannot go on with it; leave it "
            f"as it was, or fit anew. What can change: {', '.join(HARMLESS)}"
        )
    return run_folder.resolve().parent.name, recipe


def newest_unfinished(recipe: Recipe, *, name: str) -> Path | None:
    """The newest run of a recipe below its `output` that has no report yet; None if there is none.

    Runs of the same name whose recipe trains something else are other runs.
    """
    runs = Path(recipe.output).expanduser() / name
    for saved in sorted(runs.glob(f"*/{RECIPE}"), reverse=True):
        if (saved.parent / REPORT).is_file():
            continue
        try:
            other = load_recipe(saved)
        except AdaptError:  # of another version; it can be named with --resume, which says what is wrong
            continue
        if not changed_keys(other, recipe):
            return saved.parent
    return None


def changed_keys(before: Recipe, after: Recipe) -> list[str]:
    """Key paths, sorted, whose values differ and that decide what is trained."""
    values, others = _flat(before.model_dump(mode="json")), _flat(after.model_dump(mode="json"))
    harmless = [key for key in values.keys() | others.keys() if _below(key, HARMLESS)]
    if before.trainer.stop_forgetting is not None:  # then these images decide when training ends
        harmless = [key for key in harmless if not _below(key, (RETENTION,))]
    decisive = (values.keys() | others.keys()) - set(harmless)
    return sorted(key for key in decisive if values.get(key, ...) != others.get(key, ...))


def _below(key: str, paths: tuple[str, ...]) -> bool:
    return any(key == path or key.startswith(f"{path}.") for path in paths)


def _flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat
