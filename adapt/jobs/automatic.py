"""Automatic masks as `generate` makes them and as `evaluate` scores them: compared, and their thresholds fitted."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from adapt.build import open_test_features
from adapt.datamodules import Store
from adapt.errors import RunError
from adapt.evaluate import (
    Automatic,
    AutomaticScore,
    EncodedSample,
    encode_images,
    mask_ious,
    score_automatic,
    summarise_automatic,
)
from adapt.features import FeatureCache
from adapt.files import write_text
from adapt.generate import (
    Candidates,
    Fitted,
    Thresholds,
    best_thresholds,
    generate,
    label_map,
    unfiltered,
    visible_parts,
)
from adapt.recipe import GenerateSettings, Recipe, as_yaml, load_recipe
from adapt.runs import RECIPE, THRESHOLDS
from adapt.samples import Sample
from adapt.segmenters import PromptableSegmenter


def evaluation_grid(recipe: Recipe) -> GenerateSettings:
    """How masks are generated for the comparison: as the recipe says, with its coarser grid."""
    settings, per_side = recipe.generate, recipe.evaluation.automatic.points_per_side
    least = settings.crop_points_downscale**settings.crop_layers
    return settings.model_copy(update={"points_per_side": max(per_side, least)})


def generation_of(recipe: Recipe, run_folder: Path | None) -> dict[str, GenerateSettings]:
    """How `base` and `tuned` generate masks for the comparison: each with thresholds that suit it, if they were fitted.

    Args:
        recipe: as it is evaluated.
        run_folder: of the run; None for the untouched model alone.

    Raises:
        RunError: the thresholds of the run cannot be read.
    """
    grid = evaluation_grid(recipe)
    found = None if run_folder is None else read_thresholds(run_folder)
    own = grid if found is None or not found.is_of(recipe.generate) else found.untouched.apply(grid)
    return {"base": own, "tuned": grid}


def read_thresholds(run_folder: Path) -> Fitted | None:
    """The thresholds of a run; None if none were fitted.

    Raises:
        RunError: their file cannot be read.
    """
    path = run_folder / THRESHOLDS
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before, after, untouched = (Thresholds(**content[name]) for name in ("before", "after", "untouched"))
        return Fitted(images=content["images"], before=before, after=after, untouched=untouched)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{path} cannot be read ({error}); fit them again: python -m adapt evaluate {run_folder} --fit-thresholds"
        ) from None


def automatic_images(count: int, recipe: Recipe) -> frozenset[int]:
    """Places of the test images, of `count`, whose automatic masks are compared."""
    order = np.random.default_rng(recipe.seed).permutation(count)
    return frozenset(order[: recipe.evaluation.automatic.images].tolist())


def automatic_scores(
    encoded: EncodedSample, models: Mapping[str, PromptableSegmenter], generation: Mapping[str, GenerateSettings]
) -> list[AutomaticScore]:
    """Scores of the automatic masks of an image by each model, as it generates; the encoder is run for crops only."""
    scores = []
    for name, model in models.items():
        image, settings = encoded.sample.image, generation[name]
        made = generate(model, image, settings, features=encoded.features[name])
        labels = label_map(made.masks, image.shape[:2], first=settings.overlap, least_visible=settings.least_visible)
        scores.append(
            score_automatic(
                name,
                encoded.sample,
                [mask.rle["counts"] for mask in made.masks],
                instances=visible_parts(labels, made.masks),
                best_predicted_iou=made.funnel.best_predicted_iou,
                best_stability=made.funnel.best_stability,
            )
        )
    return scores


def automatic_of(
    scores: Sequence[AutomaticScore], generation: Mapping[str, GenerateSettings], recipe: Recipe
) -> Automatic | None:
    """Figures of the models `base` and `tuned`; None if no image was looked at."""
    return summarise_automatic(
        scores,
        thresholds={name: (settings.predicted_iou, settings.stability) for name, settings in generation.items()},
        bootstrap_samples=recipe.evaluation.bootstrap_samples,
        seed=recipe.seed,
    )


def fit_thresholds(
    recipe: Recipe,
    samples: Iterable[Sample],
    models: Mapping[str, PromptableSegmenter],
    *,
    device: torch.device,
    features: FeatureCache | None,
) -> Fitted:
    """Thresholds of generation that suit the tuned model on samples, and those that suit the untouched one.

    Args:
        recipe: its `generate` section says how masks are made.
        samples: of the validation split, one at least.
        models: `base` and `tuned`, on `device`, in eval mode.
        device: where they are.
        features: behind what they have in common; None to keep nothing.
    """
    settings = unfiltered(evaluation_grid(recipe))
    candidates: dict[str, list[Candidates]] = {name: [] for name in models}
    for sample, found in encode_images(samples, models, device=device, features=features):
        for name, model in models.items():
            made = generate(model, sample.image, settings, features=found[name]).masks
            ious = mask_ious(sample.masks, [mask.rle["counts"] for mask in made])
            candidates[name].append(Candidates(made, ious))
    before, after = best_thresholds(candidates["tuned"], recipe.generate)
    _, untouched = best_thresholds(candidates["base"], recipe.generate)
    return Fitted(images=len(candidates["tuned"]), before=before, after=after, untouched=untouched)


def fit_run(
    recipe: Recipe,
    run_folder: Path,
    store: Store,
    models: Mapping[str, PromptableSegmenter],
    *,
    groups: Sequence[str],
    device: torch.device,
    console: Console,
) -> Fitted:
    """Fit thresholds on the validation split of a run, and write them into its recipe; `thresholds.json` says how.

    Args:
        recipe: of the run.
        run_folder: of the run.
        store: of the data that it was trained on.
        models: `base` and `tuned`.
        groups: of the run's validation split.
        device: where to compute.
        console: is told where there is too little room for features.

    Raises:
        RunError: the run has no validation split, or the data are others.
    """
    rows = [row for row, group in enumerate(store.groups) if group in groups]
    if not rows:
        raise RunError(
            f"{run_folder}: thresholds are fitted on the validation split, of which "
            f"{'there is none; fit with split.validation above 0' if not groups else 'nothing is in these data'}"
        )
    order = np.random.default_rng(recipe.seed).permutation(len(rows))[: recipe.evaluation.automatic.validation_images]
    for model in models.values():
        model.to(device).eval()
    features = open_test_features(recipe, models, images=len(order), console=console)
    samples = (store.sample(rows[place]) for place in sorted(order))
    fitted = fit_thresholds(recipe, samples, models, device=device, features=features)
    write_text(run_folder / THRESHOLDS, json.dumps(fitted.as_dict(), indent=2) + "\n")
    saved = load_recipe(run_folder / RECIPE)
    write_text(run_folder / RECIPE, as_yaml(saved.model_copy(update={"generate": fitted.apply(saved.generate)})))
    return fitted


def suited(
    recipe: Recipe,
    run_folder: Path,
    store: Store,
    models: Mapping[str, PromptableSegmenter],
    *,
    groups: Sequence[str],
    device: torch.device,
    console: Console,
) -> Recipe:
    """The recipe of a trained run, with thresholds that suit its model if it asks for them; for the rest see `fit_run`.

    Without a validation split they stay, and a line says so.
    """
    if not recipe.evaluation.automatic.fit_thresholds:
        return recipe
    if not groups:
        console.print("thresholds of automatic masks stay as they are: there is no validation split", highlight=False)
        return recipe
    fitted = fit_run(recipe, run_folder, store, models, groups=groups, device=device, console=console)
    console.print(str(fitted), highlight=False, soft_wrap=True)
    return recipe.model_copy(update={"generate": fitted.apply(recipe.generate)})
