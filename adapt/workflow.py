"""A run from beginning to end: plan, fit, evaluate. What it is made of comes from `build`."""

import json
import logging
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.build import (
    count_epochs,
    make_data,
    make_loggers,
    make_segmenter,
    make_splits,
    make_store,
    make_task,
    make_trainer,
    pick_device,
    plan_lines,
    tune,
    untouched,
)
from adapt.callbacks.checkpoints import AtomicCheckpointIO, best_checkpoint, last_checkpoint
from adapt.callbacks.metrics_files import read_metrics
from adapt.callbacks.progress import TrainingProgress
from adapt.callbacks.throughput import Throughput
from adapt.datamodules import SegmentationDataModule, Splits, Store, split_groups, test_only
from adapt.errors import DataError, RunError
from adapt.evaluate import (
    MODELS,
    ObjectScore,
    ReportFacts,
    Results,
    draw_gallery,
    print_table,
    score_samples,
    summarise,
    write_report,
    write_tables,
)
from adapt.files import write_text
from adapt.recipe import Recipe, as_yaml, load_recipe
from adapt.runs import (
    CHECKPOINTS,
    GALLERY,
    MODEL,
    RECIPE,
    REPORT,
    SPLITS,
    VERSIONS,
    check_writable,
    new_run_folder,
    versions,
    write_folder,
)
from adapt.segmenters import PromptableSegmenter, load_segmenter
from adapt.task import AdaptTask


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    curves: dict[str, list[tuple[float, float]]]


def plan(recipe: Recipe) -> None:
    """Read data and model, print what `fit` would do; train nothing, write nothing but the prepared data."""
    console = _console()
    device = pick_device(recipe)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    _print_lines([*plan_lines(recipe, data, segmenter, device), ("steps", _steps(recipe, data))], console)


def fit(recipe: Recipe, *, name: str) -> Path:
    """Fine-tune, keep the best weights, compare with the untouched model, write the report.

    Args:
        recipe: checked.
        name: of the recipe; names the run folder.

    Returns:
        The run folder.
    """
    console = _console()
    _quiet_libraries()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser()
    check_writable(output)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    torch.manual_seed(recipe.seed)
    segmenter = make_segmenter(recipe)
    base = untouched(segmenter)
    tune(recipe, segmenter)
    data = make_data(recipe, store, splits, segmenter.spec, device)
    folder = new_run_folder(output, name)
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    lines = [*plan_lines(recipe, data, segmenter, device), ("steps", _steps(recipe, data)), ("run folder", str(folder))]
    _print_lines(lines, console)
    training = _train(recipe, data, segmenter, folder=folder, device=device, name=name, console=console)
    write_folder(folder / MODEL, segmenter.save)
    console.print(
        f"trained in {training.seconds:.0f} s: {training.samples_per_second:.1f} samples/s, "
        f"{100 * training.data_wait_share:.1f} % of it waiting for data",
        highlight=False,
    )
    models = {"base": base, "tuned": segmenter}
    _evaluate(recipe, name, data, models, folder=folder, device=device, lines=lines, training=training, console=console)
    return folder


def evaluate(recipe: Recipe, *, name: str, run_folder: Path | None) -> Results:
    """Compare a run's tuned model with the untouched one, or score a recipe's untouched model alone.

    Args:
        recipe: of the run, or any.
        name: of the recipe.
        run_folder: of the run; None for the untouched model alone. The comparison is written into a new
            folder below it, so that nothing is overwritten.
    """
    console = _console()
    _quiet_libraries()
    device = pick_device(recipe)
    output = Path(recipe.output).expanduser() if run_folder is None else run_folder
    check_writable(output)
    if run_folder is not None and not (run_folder / MODEL).is_dir():
        raise RunError(f"{run_folder} has no {MODEL}/: the run has not finished its training; fit again")
    store = make_store(recipe, console)
    models = {"base": make_segmenter(recipe)}
    if run_folder is None and recipe.split.test_groups:
        splits = test_only(store.groups, list(recipe.split.test_groups))
    elif run_folder is None:
        splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    else:
        splits = _unseen(recipe, store, run_folder)
        models["tuned"] = load_segmenter(str((run_folder / MODEL).resolve()))
    data = make_data(recipe, store, splits, models["base"].spec, device)
    folder = new_run_folder(output, f"{name}/untouched" if run_folder is None else "evaluations")
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    lines = [*plan_lines(recipe, data, models["base"], device)[:3], ("run folder", str(folder))]
    _print_lines(lines, console)
    return _evaluate(
        recipe, name, data, models, folder=folder, device=device, lines=lines, training=None, console=console
    )


def _print_lines(lines: list[tuple[str, str]], console: Console) -> None:
    for name, value in lines:
        console.print(f"{name:<11} {value}", highlight=False, soft_wrap=True)


def _steps(recipe: Recipe, data: SegmentationDataModule) -> str:
    """Epochs and steps of a fit, and why they are more than `trainer.epochs`, if they are."""
    steps = len(data.train_dataloader())
    epochs = count_epochs(recipe, steps_per_epoch=steps)
    text = f"{epochs} epochs of {steps}, {epochs * steps} in all"
    if epochs > recipe.trainer.epochs:
        text += f" (not {recipe.trainer.epochs} epochs, since trainer.min_steps={recipe.trainer.min_steps}; 0 lifts it)"
    return text


def _unseen(recipe: Recipe, store: Store, run_folder: Path) -> Splits:
    """The test groups to evaluate a run on; never one that it has trained or validated on.

    On the run's own data and split these are its own test groups. On other data, or with another split, they
    are `split.test_groups`, or all groups of the data if none is named.
    """
    trained = load_recipe(run_folder / RECIPE)
    try:
        saved = Splits(
            **{k: tuple(v) for k, v in json.loads((run_folder / SPLITS).read_text(encoding="utf-8")).items()}
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run_folder / SPLITS} cannot be read ({error}); it tells which groups were trained on"
        ) from None
    if recipe.data.root == trained.data.root and recipe.data.group_pattern != trained.data.group_pattern:
        raise RunError(
            f"data.group_pattern {recipe.data.group_pattern!r} is not that of the run, "
            f"{trained.data.group_pattern!r}, so groups that were trained on could not be told; leave it as it was"
        )
    if (recipe.data.root, recipe.split) == (trained.data.root, trained.split):
        splits = test_only(store.groups, list(saved.test))
    else:
        splits = test_only(store.groups, list(recipe.split.test_groups))
    seen = sorted(set(splits.test) & {*saved.train, *saved.validation})
    if seen:
        raise DataError(
            f"test groups {', '.join(seen[:10])} have names of groups that this run was trained or validated on; "
            "name others in split.test_groups, or rename them if they are other patients"
        )
    return splits


def _train(
    recipe: Recipe,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    *,
    folder: Path,
    device: torch.device,
    name: str,
    console: Console,
) -> Training:
    """Fit, and leave the best weights in the segmenter."""
    throughput = Throughput()
    validated = bool(data.splits.validation)
    last, best = last_checkpoint(folder / CHECKPOINTS), best_checkpoint(folder / CHECKPOINTS)
    loggers, finish_tracking = make_loggers(recipe, name=name, folder=folder, console=console)
    steps_per_epoch = len(data.train_dataloader())
    trainer = make_trainer(
        recipe,
        device,
        epochs=count_epochs(recipe, steps_per_epoch=steps_per_epoch),
        folder=folder,
        loggers=loggers,
        callbacks=[last, *([best] if validated else []), throughput, TrainingProgress(console, throughput)],
        validated=validated,
    )
    task = make_task(recipe, segmenter, steps_per_epoch=steps_per_epoch)
    begun = time.perf_counter()
    try:
        trainer.fit(task, datamodule=data)
    except SystemExit:  # what Lightning makes of Ctrl-C
        kept = best.best_model_path or last.best_model_path
        if kept:
            _restore(task, kept)
            write_folder(folder / MODEL, segmenter.save)
        said = f"the model so far is kept: adapt evaluate {folder}" if kept else "no epoch was done"
        console.print(f"interrupted; {said}", highlight=False, soft_wrap=True)
        raise KeyboardInterrupt from None
    finally:
        finish_tracking()
    seconds = time.perf_counter() - begun
    _restore(task, best.best_model_path or last.best_model_path)
    return Training(
        seconds=seconds,
        samples_per_second=throughput.samples_per_second,
        data_wait_share=throughput.wait_share,
        curves=_curves(folder),
    )


def _restore(task: AdaptTask, checkpoint: str) -> None:
    """Put the tuned weights of a checkpoint back into the task's segmenter."""
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(checkpoint)["state_dict"])


def _evaluate(
    recipe: Recipe,
    name: str,
    data: SegmentationDataModule,
    models: Mapping[str, PromptableSegmenter],
    *,
    folder: Path,
    device: torch.device,
    lines: list[tuple[str, str]],
    training: Training | None,
    console: Console,
) -> Results:
    """Score the test split, print the table, write tables, pictures and report into `folder`."""
    rows = data.test_samples()
    if not rows:
        raise DataError("the test split has no image with an object; set split.test_groups to groups that have some")
    for model in models.values():
        if isinstance(model, torch.nn.Module):
            model.to(device).eval()
    settings = recipe.evaluation
    console.print(
        f"evaluating {len(rows)} test images, {' and '.join(MODELS[name] for name in models)} model", highlight=False
    )
    scores: list[ObjectScore] = []
    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        samples = (data.store.sample(row) for row in progress.track(rows))
        for of_sample in score_samples(samples, models, protocols=list(settings.protocols), device=device):
            scores.extend(of_sample)
    results = summarise(scores, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed)
    facts: dict[str, object] = {
        "recipe": name,
        "checkpoint": recipe.model.checkpoint,
        "revision": recipe.model.revision,
        "commit": models["base"].commit,
        "bootstrap_samples": settings.bootstrap_samples,
        "test_groups": list(data.splits.test),
        "versions": versions(),
    }
    if training is not None:
        facts["training"] = {
            "seconds": training.seconds,
            "samples_per_second": training.samples_per_second,
            "data_wait_share": training.data_wait_share,
        }
        speed = f"{training.samples_per_second:.1f} samples/s, data wait {100 * training.data_wait_share:.1f} %"
        lines = [*lines, ("training", f"{training.seconds:.0f} s, {speed}")]
    write_tables(results, scores, folder, facts=facts)
    (folder / GALLERY).mkdir()
    by_id = dict(zip((data.store.rows[row]["sample_id"] for row in rows), rows, strict=True))
    pictures = draw_gallery(
        scores, count=settings.gallery, sample_of=lambda name: data.store.sample(by_id[name]), folder=folder / GALLERY
    )
    report = ReportFacts(
        title=f"{name}: {folder.name}",
        description=recipe.description,
        lines=[*lines, *versions().items()],
        curves=training.curves if training is not None else {},
        recipe=as_yaml(recipe),
    )
    write_report(folder / REPORT, results=results, pictures=pictures, facts=report)
    print_table(results, Console())
    console.print(f"report: {folder / REPORT}", highlight=False, soft_wrap=True)
    return results


def _curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    names = {"train/loss_epoch": "training loss", "val/miou": "validation mIoU"}
    rows = read_metrics(folder)
    return {title: [(row["epoch"] + 1, row[key]) for row in rows if key in row] for key, title in names.items()}


def _console() -> Console:
    """Progress and notices go to stderr, so that the table alone is on stdout."""
    return Console(stderr=True)


def _quiet_libraries() -> None:
    """What the libraries say about themselves; each line would hide what this run has to say."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if sys.warnoptions:
        return  # the user, or a test, has said which warnings to see
    for message in (
        ".*module.s. in eval mode at the start of training.*",  # the frozen encoder is meant to be
        ".*does not have many workers.*",  # `trainer.workers` is a choice of the recipe
        ".*number of training batches.*is smaller than the logging interval.*",  # small data sets are usual here
        ".*isinstance.treespec, LeafSpec.*",  # torch deprecates what lightning 2.6 still calls
    ):
        warnings.filterwarnings("ignore", message=message)
