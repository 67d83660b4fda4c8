"""Score mixes of the untouched and the tuned model on the test split and on general images, and write one down."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from adapt.build import open_test_features
from adapt.datamodules import SegmentationDataModule
from adapt.evaluate import Measures, Mix, ObjectScore, mious, print_trade_off, score_samples, write_trade_off
from adapt.jobs.retention import GeneralImages, general_scores
from adapt.jobs.tuned import write_tuned
from adapt.recipe import Recipe
from adapt.runs import versions
from adapt.segmenters import PromptableSegmenter
from adapt.terminal import Terminal
from adapt.tuning import mixed


def trade_off(
    recipe: Recipe,
    data: SegmentationDataModule,
    models: Mapping[str, PromptableSegmenter],
    *,
    alphas: Sequence[float],
    write_mix: float | None,
    general: GeneralImages | None,
    folder: Path,
    device: torch.device,
    facts: dict[str, object],
    console: Console,
) -> list[Mix]:
    """Score each mix, print the trade-off, write it into `folder`, and the chosen mix below it.

    An encoder that was not tuned runs once an image, however many mixes there are.

    Args:
        recipe: of the run.
        data: has test samples.
        models: base and tuned, alike in the names of their parameters.
        alphas: shares of the tuned weights.
        write_mix: share of the mix to write; None for none.
        general: images on which forgetting is measured.
        folder: of the evaluation.
        device: for the models.
        facts: added to the JSON.
        console: for progress.
    """
    mixes = {alpha: mixed(models["base"], models["tuned"], alpha) for alpha in alphas}
    named = {str(alpha): mix for alpha, mix in mixes.items()}
    for mix in mixes.values():
        mix.to(device)
    settings = recipe.evaluation
    rows = data.test_samples()
    samples = (data.store.sample(row) for row in rows)
    measures = Measures(clicks=settings.clicks, tolerance=settings.boundary_tolerance)
    images = len(rows) + (0 if general is None else len(general.rows))
    features = open_test_features(recipe, named, images=images, console=console)
    protocols = list(settings.protocols)
    found = score_samples(samples, named, protocols=protocols, measures=measures, device=device, features=features)
    domain = _mious(_tracked(found, "test images", len(rows), console), named)
    of_general: dict[str, dict[str, float]] = {}
    if general is not None:
        found = general_scores(general, named, device=device, features=features)
        of_general = _mious(_tracked(found, "general images", len(general.rows), console), named)
    trade = [Mix(alpha, domain[str(alpha)], of_general.get(str(alpha))) for alpha in alphas]
    write_trade_off(trade, folder, facts={**facts, "versions": versions()})
    print_trade_off(trade, Terminal())
    if write_mix is not None:
        place = write_tuned(recipe, mixes[write_mix], base=models["base"], folder=folder)
        console.print(f"the mix of alpha {write_mix:g}: {place}", highlight=False, markup=False, soft_wrap=True)
    return trade


def _tracked(
    found: Iterator[list[ObjectScore]], title: str, count: int, console: Console
) -> Iterable[list[ObjectScore]]:
    return track(found, title, count, console=console, transient=True, disable=not console.is_terminal)


def _mious(found: Iterable[list[ObjectScore]], models: Iterable[str]) -> dict[str, dict[str, float]]:
    """Model to its mIoU under each protocol."""
    scores = [score for of_sample in found for score in of_sample]
    return {name: mious([score for score in scores if score.model == name]) for name in models}
