"""The only wiring: from a recipe to segmenter, data, task, callbacks and trainer, and through a run."""

import importlib.metadata
import json
import logging
import platform
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.callbacks.checkpoints import AtomicCheckpointIO, best_and_last
from adapt.callbacks.metrics_files import MetricsFiles, read_metrics
from adapt.callbacks.progress import EpochLines, progress_bar
from adapt.callbacks.throughput import Throughput
from adapt.callbacks.tracking import finish_wandb, tensorboard_logger, wandb_logger
from adapt.datamodules import SegmentationDataModule, Source, Splits, Store, phantom, split_groups
from adapt.datamodules.folder import folder_source
from adapt.datamodules.medical import medical_source
from adapt.datamodules.store import open_or_make
from adapt.datamodules.transforms import Augmentation
from adapt.errors import DataError, RecipeError, RunError
from adapt.evaluate import (
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
from adapt.losses import LossWeights
from adapt.prompts import PromptSimulation
from adapt.recipe import MedicalData, Recipe, as_yaml
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
    write_folder,
)
from adapt.segmenters import PromptableSegmenter, SegmenterSpec, load_segmenter
from adapt.task import AdaptTask, OptimizationPlan
from adapt.tuning import trainable_table, tune_decoder

VERSIONED = ("torch", "lightning", "transformers", "datasets", "albumentations", "numpy", "pillow")
LOG_EVERY = 10


@dataclass(frozen=True)
class Training:
    """What a fit leaves for the report."""

    seconds: float
    samples_per_second: float
    data_wait_share: float
    curves: dict[str, list[tuple[float, float]]]


# ---------------------------------------------------------------------------------------------- parts


def make_store(recipe: Recipe, console: Console) -> Store:
    """The prepared data of a recipe; made at the first call, opened at later ones."""
    cache = Path(recipe.cache).expanduser()
    settings = recipe.data.model_dump(mode="json", exclude={"root"})
    return open_or_make(_source(recipe, cache), settings=settings, cache=cache, console=console)


def _source(recipe: Recipe, cache: Path) -> Source:
    data = recipe.data
    if data.root.startswith("adapt:"):
        if data.root != phantom.NAME or not isinstance(data, MedicalData):
            raise DataError(
                f"data.root {data.root!r}: the only data that is generated is {phantom.NAME}, of kind medical"
            )
        root = phantom.ct_phantom(cache)
    else:
        root = Path(data.root).expanduser()
    return medical_source(data, root) if isinstance(data, MedicalData) else folder_source(data, root)


def make_splits(recipe: Recipe, store: Store, console: Console) -> Splits:
    """Groups of train, validation and test; says so when there is no validation."""
    splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    if not splits.validation:
        console.print(
            "[yellow]notice:[/] no group is left for validation, so the last weights are kept rather than the best",
            highlight=False,
        )
    return splits


def make_data(recipe: Recipe, store: Store, splits: Splits, spec: SegmenterSpec) -> SegmentationDataModule:
    """Batches of a recipe's data for a segmenter."""
    return SegmentationDataModule(
        store, splits, spec, augmentation=Augmentation(recipe.augment), settings=recipe.trainer, seed=recipe.seed
    )


def make_segmenter(recipe: Recipe) -> PromptableSegmenter:
    """The pretrained segmenter of a recipe, untouched."""
    return load_segmenter(recipe.model.checkpoint, revision=recipe.model.revision)


def make_task(recipe: Recipe, segmenter: PromptableSegmenter, *, steps_per_epoch: int) -> AdaptTask:
    """The task around a segmenter whose trainable parameters are chosen."""
    prompts, loss, optimizer = recipe.prompts, recipe.loss, recipe.optimizer
    return AdaptTask(
        segmenter,
        simulation=PromptSimulation(recipe.seed, prompts.box_chance, prompts.box_noise, prompts.box_noise_max),
        weights=LossWeights(
            focal=loss.focal_weight,
            dice=loss.dice_weight,
            iou=loss.iou_weight,
            alpha=loss.focal_alpha,
            gamma=loss.focal_gamma,
        ),
        plan=OptimizationPlan(
            learning_rate=optimizer.learning_rate,
            weight_decay=optimizer.weight_decay,
            warmup_steps=optimizer.warmup_steps,
            cosine=optimizer.schedule == "cosine",
            total_steps=recipe.trainer.max_epochs * steps_per_epoch,
        ),
    )


def tune(recipe: Recipe, segmenter: PromptableSegmenter) -> None:
    """Choose what trains."""
    tune_decoder(segmenter, prompt_encoder=recipe.tuning.prompt_encoder)


def pick_device(recipe: Recipe) -> torch.device:
    """The device that `trainer.accelerator` asks for.

    Raises:
        RecipeError: it is not there.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    wanted = recipe.trainer.accelerator
    if wanted == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if available[name]))
    if not available[wanted]:
        there = ", ".join(name for name, here in available.items() if here)
        raise RecipeError(f"trainer.accelerator {wanted!r} is not there; this machine has: {there}. Or set auto")
    return torch.device(wanted)


# ---------------------------------------------------------------------------------------------- commands


def plan(recipe: Recipe) -> None:
    """Read data and model, print what `fit` would do; train nothing, write nothing but the prepared data."""
    console = _console()
    device = pick_device(recipe)
    store = make_store(recipe, console)
    splits = make_splits(recipe, store, console)
    segmenter = make_segmenter(recipe)
    tune(recipe, segmenter)
    data = make_data(recipe, store, splits, segmenter.spec)
    steps = len(data.train_dataloader())
    for name, value in _plan_lines(recipe, data, segmenter, device):
        console.print(f"{name:<18} {value}", highlight=False, soft_wrap=True)
    console.print(f"{'steps':<18} {steps} an epoch, {steps * recipe.trainer.max_epochs} in all", highlight=False)


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
    tune(recipe, segmenter)
    data = make_data(recipe, store, splits, segmenter.spec)
    folder = new_run_folder(output, name)
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    write_text(folder / SPLITS, json.dumps(asdict(splits), indent=2) + "\n")
    lines = [*_plan_lines(recipe, data, segmenter, device), ("run folder", str(folder))]
    for key, value in lines:
        console.print(f"{key:<18} {value}", highlight=False, soft_wrap=True)
    training = _train(recipe, data, segmenter, folder=folder, device=device, name=name, console=console)
    write_folder(folder / MODEL, segmenter.save)
    console.print(
        f"trained in {training.seconds:.0f} s: {training.samples_per_second:.1f} samples/s, "
        f"{100 * training.data_wait_share:.1f} % of it waiting for data",
        highlight=False,
    )
    models = {"base": make_segmenter(recipe), "tuned": segmenter}
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
    store = make_store(recipe, console)
    splits = split_groups(store.groups, recipe.split, seed=recipe.seed)
    models = {"base": make_segmenter(recipe)}
    if run_folder is not None:
        splits = _unseen(splits, store, run_folder)
        models["tuned"] = load_segmenter(str(run_folder / MODEL))
    data = make_data(recipe, store, splits, models["base"].spec)
    folder = new_run_folder(output, name if run_folder is None else "evaluations")
    write_text(folder / RECIPE, as_yaml(recipe))
    write_text(folder / VERSIONS, json.dumps(versions(), indent=2) + "\n")
    lines = [*_plan_lines(recipe, data, models["base"], device)[:3], ("run folder", str(folder))]
    return _evaluate(
        recipe, name, data, models, folder=folder, device=device, lines=lines, training=None, console=console
    )


def _unseen(splits: Splits, store: Store, run_folder: Path) -> Splits:
    """The test split of the run, or, on other data, the recipe's; never a group that the run has trained on."""
    try:
        saved = Splits(
            **{k: tuple(v) for k, v in json.loads((run_folder / SPLITS).read_text(encoding="utf-8")).items()}
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run_folder / SPLITS} cannot be read ({error}); it tells which groups were trained on"
        ) from None
    if set(saved.test) <= set(store.groups):
        return saved
    seen = sorted(set(splits.test) & {*saved.train, *saved.validation})
    if seen:
        raise DataError(
            f"test groups {', '.join(seen[:10])} have names of groups that this run was trained on; "
            "name others in split.test_groups, or rename them if they are other patients"
        )
    return splits


# ---------------------------------------------------------------------------------------------- steps of a run


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
    checkpoints = best_and_last(folder / CHECKPOINTS, validated=validated)
    loggers: list[lightning.pytorch.loggers.Logger] = [MetricsFiles(folder)]
    wandb_run = None
    if recipe.tracking == "wandb":
        title, config = f"{name} {folder.name}", recipe.model_dump(mode="json")
        logger, wandb_run = wandb_logger(recipe.wandb, name=title, folder=folder, config=config, console=console)
        loggers.append(logger)
    elif recipe.tracking == "tensorboard":
        loggers.append(tensorboard_logger(folder))
    bars = [progress_bar()] if console.is_terminal else []
    settings = recipe.trainer
    trainer = lightning.Trainer(
        accelerator=device.type,
        devices=1,
        precision=settings.precision,
        max_epochs=settings.max_epochs,
        gradient_clip_val=settings.gradient_clip or None,
        check_val_every_n_epoch=settings.validate_every,
        logger=loggers,
        callbacks=[checkpoints, throughput, EpochLines(console, throughput), *bars],
        enable_progress_bar=bool(bars),
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        log_every_n_steps=LOG_EVERY,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    task = make_task(recipe, segmenter, steps_per_epoch=len(data.train_dataloader()))
    begun = time.perf_counter()
    try:
        trainer.fit(task, datamodule=data)
    finally:
        if wandb_run is not None:
            finish_wandb(wandb_run, console)
    seconds = time.perf_counter() - begun
    kept = checkpoints.best_model_path or checkpoints.last_model_path
    task.load_tuned(AtomicCheckpointIO().load_checkpoint(kept)["state_dict"])
    return Training(
        seconds=seconds,
        samples_per_second=throughput.samples_per_second,
        data_wait_share=throughput.wait_share,
        curves=_curves(folder),
    )


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
    scores: list[ObjectScore] = []
    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        samples = (data.store.sample(row) for row in progress.track(rows))
        for of_sample in score_samples(samples, models, protocols=list(settings.protocols), device=device):
            scores.extend(of_sample)
    results = summarise(scores, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed)
    facts: dict[str, object] = {
        "recipe": name,
        "checkpoint": recipe.model.checkpoint,
        "revision": recipe.model.revision,
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


# ---------------------------------------------------------------------------------------------- facts


def _plan_lines(
    recipe: Recipe, data: SegmentationDataModule, segmenter: PromptableSegmenter, device: torch.device
) -> list[tuple[str, str]]:
    facts, splits = data.store.facts, data.splits
    images = [len(data.rows(groups)) for groups in (splits.train, splits.validation, splits.test)]
    trainable = ", ".join(
        f"{part} {count:,} of {total:,}" for part, count, total in trainable_table(segmenter) if count
    )
    return [
        (
            "data",
            f"{facts.samples} images with {facts.objects} objects of {len(set(data.store.groups))} groups "
            f"({facts.empty_images} images without objects and {facts.small_objects} small objects left out)",
        ),
        (
            "split",
            f"train {images[0]} images of {len(splits.train)} groups, validation {images[1]} of "
            f"{len(splits.validation)}, test {images[2]} of {len(splits.test)}",
        ),
        ("model", f"{recipe.model.checkpoint}{note}, input {segmenter.spec.image_size} px, on {device}"),
        ("trains", trainable),
    ]


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "adapt": importlib.metadata.version("adapt-sam"),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in VERSIONED},
        "platform": platform.platform(),
    }


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
