"""Compare the tuned model with the untouched one on the test split, and write down the result."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from adapt.build import open_test_features
from adapt.datamodules import SegmentationDataModule
from adapt.evaluate import (
    MODELS,
    AutomaticScore,
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
from adapt.files import make_folder
from adapt.jobs.automatic import automatic_images, automatic_of, automatic_scores
from adapt.jobs.retention import GeneralImages, general_scores, retention_of
from adapt.jobs.training_figures import Training
from adapt.recipe import GenerateSettings, Recipe, as_yaml
from adapt.runs import GALLERY, REPORT, versions
from adapt.segmenters import PromptableSegmenter
from adapt.terminal import Terminal


def compare(
    recipe: Recipe,
    name: str,
    data: SegmentationDataModule,
    models: Mapping[str, PromptableSegmenter],
    *,
    generation: Mapping[str, GenerateSettings],
    folder: Path,
    device: torch.device,
    lines: list[tuple[str, str]],
    general: GeneralImages | None,
    training: Training | None,
    console: Console,
) -> Results:
    """Score the test split, and general images if there are some; print and write the result into `folder`.

    `generation` says how each model makes masks without prompts.
    """
    rows = data.test_samples()
    for model in models.values():
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
    unprompted: list[AutomaticScore] = []
    drawn = automatic_images(len(rows), recipe)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        samples = (data.store.sample(row) for row in progress.track(rows, description="test images"))
        measures = Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance)
        protocols = list(settings.protocols)
        for number, encoded in enumerate(encode_samples(samples, models, device=device, features=features)):
            scores += score_encoded(encoded, models, protocols=protocols, measures=measures)
            if number in chosen:
                findings += check_following(encoded, models)
            if number in drawn:
                unprompted += automatic_scores(encoded, models, generation)
        retention = None
        if general is not None:
            found = general_scores(general, models, device=device, features=features)
            shown = progress.track(found, total=len(general.rows), description="general images")
            retention = retention_of(
                general,
                [score for of_image in shown for score in of_image],
                bootstrap_samples=settings.bootstrap_samples,
                seed=recipe.seed,
            )
    places = data.store.rows.select(rows)["slice_of"]  # images that make up no volume are not read a second time
    slices = (
        data.store.sample(row)
        for row, place in zip(rows, places, strict=True)
        if place is not None and place["distance"] is not None
    )
    volumes = list(volume_scores(slices, scores, tolerance=settings.boundary_tolerance))
    results = summarise(scores, volumes=volumes, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed)
    results = replace(
        results,
        following=summarise_following(findings),
        retention=retention,
        automatic=automatic_of(unprompted, generation, recipe),
    )
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
        facts["training"] = training.as_dict()
        cost = training.cost(device)
        lines = [*lines, ("training", str(training))]
    write_tables(results, scores, folder, facts=facts)
    print_table(results, Terminal())
    if retention is not None:
        print(f"general images: {forgetting_text(retention)}")
    make_folder(folder / GALLERY)  # training may have left galleries of its epochs there
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
