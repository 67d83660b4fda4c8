"""What W&B is told of a run that has ended: the comparison, each test object, and the model if that is asked for."""

from pathlib import Path

from rich.console import Console

from adapt.callbacks.tracking import has_taken_all, wandb_tracker
from adapt.evaluate import MODELS, Results
from adapt.evaluate.objects import read_objects
from adapt.recipe import Recipe
from adapt.runs import ADAPTER, MODEL


def track_outcome(recipe: Recipe, results: Results, *, name: str, folder: Path, console: Console) -> None:
    """Go on with the W&B run of the training, and tell it how the run ended; nothing if W&B does not track it.

    Offline, without another word, if the server was not there for the training, or was lost in it.

    Args:
        recipe: of the run.
        results: of the comparison.
        name: of the recipe.
        folder: of the run, compared.
        console: for warnings.
    """
    if recipe.tracking != "wandb":
        return
    settings = recipe.wandb if has_taken_all(folder) else recipe.wandb.model_copy(update={"offline": True})
    title, config = f"{name} {folder.name}", recipe.model_dump(mode="json")
    tracker = wandb_tracker(settings, name=title, folder=folder, config=config, console=console)
    if tracker is None:
        return
    kept = folder / MODEL if (folder / MODEL).is_dir() else folder / ADAPTER
    objects = _objects(folder) if recipe.wandb.objects else []
    tracker.log_outcome(_figures(results), objects, model=kept if recipe.wandb.model else None)
    tracker.finish()


def _figures(results: Results) -> dict[str, float]:
    """`test/<prompt>/<model>/<figure>`, and the difference likewise; an interval only where there is one."""
    found: dict[str, float | None] = {}
    for protocol, figures in results.protocols.items():
        for key, model in figures.models.items():
            begin = f"test/{protocol}/{MODELS[key]}"
            found |= {f"{begin}/{figure}": getattr(model, figure) for figure in ("miou", "low", "high", "dice", "nsd")}
        gain = figures.difference
        if gain is not None:
            begin = f"test/{protocol}/difference"
            found |= {f"{begin}/{figure}": getattr(gain, figure) for figure in ("miou", "low", "high")}
    return {key: value for key, value in found.items() if value is not None}


def _objects(folder: Path) -> list[dict[str, object]]:
    """A row a test object and prompt, with the IoU of both models; the worst of the tuned model first."""
    rows: dict[tuple[str, str, int], dict[str, object]] = {}
    for score in read_objects(folder):
        row = rows.setdefault(
            (score.protocol, score.sample_id, score.index),
            {
                "prompt": score.protocol,
                "sample": score.sample_id,
                "object": score.index,
                "category": score.category,
                "group": score.group,
                "pixels": score.pixels,
            },
        )
        row[MODELS[score.model]] = score.iou
    return sorted(rows.values(), key=lambda row: float(str(row[MODELS["tuned"]])))
