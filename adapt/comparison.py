"""Compare the tuned model with the untouched one on the test split, and write down the result."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.build import open_test_features
from adapt.datamodules import SegmentationDataModule, Splits, Store, test_only
from adapt.errors import DataError, RunError
from adapt.evaluate import (
    MODELS,
    ImageFindings,
    Measures,
    ObjectScore,
    ReportFacts,
    Results,
    check_following,
    choose_images,
    draw_gallery,
    encode_samples,
    forgetting_text,
    print_table,
    score_encoded,
    summarise,
    summarise_following,
    volume_scores,
    write_report,
    write_tables,
)
from adapt.recipe import Recipe, as_yaml, group_rule, load_recipe
from adapt.retention import GeneralImages, general_scores, retention_of
from adapt.runs import GALLERY, RECIPE, REPORT, SPLITS, versions
from adapt.segmenters import PromptableSegmenter
from adapt.training import Training


def compare(
    recipe: Recipe,
    name: str,
    data: SegmentationDataModule,
    models: Mapping[str, PromptableSegmenter],
    *,
    folder: Path,
    device: torch.device,
    lines: list[tuple[str, str]],
    general: GeneralImages | None,
    training: Training | None,
    console: Console,
) -> Results:
    """Score the test split, and general images if there are some; print and write the result into `folder`."""
    rows = data.test_samples()
    for model in models.values():
        if isinstance(model, torch.nn.Module):
            model.to(device).eval()
    settings = recipe.evaluation
    console.print(
        f"evaluating {len(rows)} test images, {' and '.join(MODELS[name] for name in models)} model", highlight=False
    )
    objects = [len(names) for names in data.store.rows.select(rows)["categories"]]
    chosen = choose_images(objects, count=settings.following_images, seed=recipe.seed)
    images = len(rows) + (0 if general is None else len(general.rows))
    features = open_test_features(recipe, models, images=images, console=console)
    scores: list[ObjectScore] = []
    findings: list[ImageFindings] = []
    columns = (TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        samples = (data.store.sample(row) for row in progress.track(rows))
        measures = Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance)
        protocols = list(settings.protocols)
        for number, encoded in enumerate(encode_samples(samples, models, device=device, features=features)):
            scores += score_encoded(encoded, models, protocols=protocols, measures=measures)
            if number in chosen:
                findings += check_following(encoded, models)
        retention = None
        if general is not None:
            found = general_scores(general, models, device=device, features=features)
            retention = retention_of(
                general,
                [score for of_image in progress.track(found, total=len(general.rows)) for score in of_image],
                bootstrap_samples=settings.bootstrap_samples,
                seed=recipe.seed,
            )
    places = data.store.rows.select(rows)["slice_of"]  # images that are no slices are not read a second time
    slices = (data.store.sample(row) for row, place in zip(rows, places, strict=True) if place is not None)
    volumes = list(volume_scores(slices, scores, tolerance=settings.boundary_tolerance))
    results = summarise(scores, volumes=volumes, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed)
    results = replace(results, following=summarise_following(findings), retention=retention)
    facts: dict[str, object] = {
        "recipe": name,
        "checkpoint": recipe.model.checkpoint,
        "revision": recipe.model.revision,
        "commit": models["base"].commit,
        "bootstrap_samples": settings.bootstrap_samples,
        "test_groups": list(data.splits.test),
        "versions": versions(),
    }
    cost = ""
    if training is not None:
        facts["training"] = {
            "seconds": training.seconds,
            "trainable_parameters": training.trainable_parameters,
            "samples_per_second": training.samples_per_second,
            "data_wait_share": training.data_wait_share,
        }
        cost = (
            f"{training.seconds:,.0f} s of training on {device}, {training.trainable_parameters:,} trainable parameters"
        )
        lines = [*lines, ("training", str(training))]
    write_tables(results, scores, folder, facts=facts)
    print_table(results, Console())
    if retention is not None:
        print(f"general images: {forgetting_text(retention)}")
    (folder / GALLERY).mkdir(exist_ok=True)  # training may have left galleries of its epochs there
    by_id = dict(zip((data.store.rows[row]["sample_id"] for row in rows), rows, strict=True))
    pictures = draw_gallery(
        scores, count=settings.gallery, sample_of=lambda name: data.store.sample(by_id[name]), folder=folder / GALLERY
    )
    report = ReportFacts(
        title=f"{name}: {folder.name}",
        description=recipe.description,
        cost=cost,
        lines=[*lines, *versions().items()],
        curves=training.curves if training is not None else {},
        recipe=as_yaml(recipe),
    )
    write_report(folder / REPORT, results=results, pictures=pictures, facts=report)
    console.print(f"report: {folder / REPORT}", highlight=False, markup=False, soft_wrap=True)
    return results


def unseen_groups(recipe: Recipe, store: Store, run_folder: Path) -> Splits:
    """The test groups to evaluate a run on; never one that it has trained or validated on.

    On the run's own data and split these are its own test groups. On other data, or with another split, they
    are `split.test_groups`, or all groups of the data if none is named.
    """
    trained = load_recipe(run_folder / RECIPE)
    saved = read_splits(run_folder)
    rule, trained_rule = group_rule(recipe.data), group_rule(trained.data)
    if recipe.data.root == trained.data.root and rule != trained_rule:
        key = next(key for key in {**rule, **trained_rule} if rule.get(key) != trained_rule.get(key))
        raise RunError(
            f"{key} {rule.get(key)!r} is not that of the run, {trained_rule.get(key)!r}, "
            "so groups that were trained on could not be told; leave it as it was"
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
