"""Score the label maps of a model with classes on the test split, and write down the result.

There is no untouched model to compare with: before training, a model knows no classes.
"""

from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from adapt.build import open_test_features
from adapt.datamodules import SegmentationDataModule
from adapt.datamodules.classes import check_categories
from adapt.evaluate import ReportFacts
from adapt.evaluate.semantic import (
    SemanticResults,
    draw_label_maps,
    print_classes,
    score_label_maps,
    summarise_classes,
    write_class_report,
    write_classes,
)
from adapt.files import make_folder
from adapt.jobs.training_figures import Training
from adapt.recipe import Recipe, as_yaml
from adapt.runs import GALLERY, REPORT, versions
from adapt.segmenters import PromptableSegmenter
from adapt.terminal import Terminal


def evaluate_label_maps(
    recipe: Recipe,
    name: str,
    data: SegmentationDataModule,
    segmenter: PromptableSegmenter,
    *,
    folder: Path,
    device: torch.device,
    lines: list[tuple[str, str]],
    training: Training | None,
    console: Console,
) -> SemanticResults:
    """Score the test split; print and write the result into `folder`.

    Raises:
        DataError: there are no test images, or they have objects that are of no class.
    """
    rows = data.test_samples()
    check_categories(data.store, segmenter.classes)
    segmenter.to(device).eval()
    settings = recipe.evaluation
    console.print(f"evaluating {len(rows)} test images, {len(segmenter.classes)} classes", highlight=False)
    features = open_test_features(recipe, {"tuned": segmenter}, images=len(rows), console=console)
    samples = (data.store.sample(row) for row in rows)
    found = score_label_maps(samples, segmenter, device=device, features=features)
    scores = list(
        track(found, "evaluating", len(rows), console=console, transient=True, disable=not console.is_terminal)
    )
    results = summarise_classes(
        scores, segmenter.classes, bootstrap_samples=settings.bootstrap_samples, seed=recipe.seed
    )
    facts: dict[str, object] = {
        "recipe": name,
        "checkpoint": recipe.model.checkpoint,
        "revision": recipe.model.revision,
        "commit": segmenter.commit,
        "bootstrap_samples": settings.bootstrap_samples,
        "test_groups": list(data.splits.test),
        "versions": versions(),
    }
    if training is not None:
        facts["training"] = training.as_dict()
        lines = [*lines, ("training", str(training))]
    write_classes(results, scores, folder, facts=facts)
    print_classes(results, Terminal())
    make_folder(folder / GALLERY)
    by_id = dict(zip((data.store.rows[row]["sample_id"] for row in rows), rows, strict=True))
    pictures = draw_label_maps(
        scores,
        segmenter.classes,
        count=settings.gallery,
        sample_of=lambda name: data.store.sample(by_id[name]),
        folder=folder / GALLERY,
    )
    report = ReportFacts(
        title=f"{name}: {folder.name}",
        description=recipe.description,
        cost="" if training is None else training.cost(device),
        lines=[*lines, *versions().items()],
        curves=training.curves if training is not None else {},
        recipe=as_yaml(recipe),
    )
    write_class_report(folder / REPORT, results=results, pictures=pictures, facts=report)
    console.print(f"report: {folder / REPORT}", highlight=False, markup=False, soft_wrap=True)
    return results
