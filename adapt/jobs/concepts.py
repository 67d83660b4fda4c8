"""Ask the untouched and the tuned model of a run for the categories of its test images, and write down the result."""

from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console

from adapt.datamodules import SegmentationDataModule
from adapt.datamodules.classes import categories_of
from adapt.evaluate import ReportFacts, print_text_results, write_text_report, write_text_results
from adapt.jobs.text_ways import Ways, asked_by_text, text_facts
from adapt.jobs.training_figures import Training
from adapt.recipe import Recipe, as_yaml
from adapt.runs import REPORT, versions
from adapt.segmenters import PromptableSegmenter
from adapt.terminal import Terminal


def evaluate_concepts(
    recipe: Recipe,
    name: str,
    data: SegmentationDataModule,
    models: Mapping[str, PromptableSegmenter],
    *,
    folder: Path,
    device: torch.device,
    lines: list[tuple[str, str]],
    training: Training,
    console: Console,
) -> None:
    """Score the test split; print and write the result into `folder`.

    Args:
        recipe: of the run.
        name: of the recipe.
        data: of the run.
        models: the untouched one and then the tuned one, by name.
        folder: of the run.
        device: to ask on.
        lines: what the report says of data and model.
        training: what it took.
        console: for progress and notices.

    Raises:
        DataError: there are no test images.
    """
    rows = data.test_samples()
    for model in models.values():
        model.to(device).eval()
    names = categories_of(data.store, data.splits.test)
    console.print(f"evaluating {len(rows)} test images, asked for {len(names)} categories", highlight=False)
    ways = Ways(recipe, models, device=device, learnt=True, categories=names)
    results = asked_by_text(recipe, ways, data.store, rows, console=console)
    facts = text_facts(recipe, name, ways, test_groups=data.splits.test, categories=names)
    write_text_results(results, folder, facts={**facts, "training": training.as_dict()})
    print_text_results(results, Terminal())
    report = ReportFacts(
        title=f"{name}: {folder.name}",
        description=recipe.description,
        cost=training.cost(device),
        lines=[*lines, ("training", str(training)), *versions().items()],
        curves=training.curves,
        recipe=as_yaml(recipe),
    )
    write_text_report(folder / REPORT, results=results, facts=report)
    console.print(f"report: {folder / REPORT}", highlight=False, markup=False, soft_wrap=True)
